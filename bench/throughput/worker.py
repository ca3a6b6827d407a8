"""A contestant's process: loads it once, then scores a Parquet file into another on each request.

It speaks JSON lines. The first one gives the seconds until one paper was scored; then each line that comes in names
papers, output and setting, and the answer gives the seconds that this took, reading and writing included.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from bench.measure import BenchError, peak_rss_bytes


class Worker:
    """The side that gives the orders.

    The settings are load, folder, first (a file of one paper), output (where its score may go) and setting.

    Raises:
        BenchError: The process failed; its last words went to stderr.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        started = time.time()
        command = [sys.executable, "-m", "bench.throughput.worker", json.dumps({**settings, "started": started})]
        self._name = settings["load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.cold_start_s: dict[str, float] = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def score(self, papers: Path, output: Path, setting: str) -> dict[str, Any]:
        """Score a file, and return the seconds it took (wall_s) and the most memory so far (peak_rss_bytes)."""
        if self._process.stdin is None:
            raise BenchError(f"{self._name}: no way to tell it anything")
        self._process.stdin.write(json.dumps({"papers": str(papers), "output": str(output), "setting": setting}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise BenchError(f"{self._name} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main(settings: dict[str, Any]) -> None:
    """Be the process that takes the orders."""
    # Libraries print what they like; answers go to what was stdout, and all else to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sides = importlib.import_module("bench.throughput.sides")
    run = sides.open_side(settings["load"], Path(settings["folder"]))
    loaded = time.time()
    scored = Path(settings["output"])
    run(Path(settings["first"]), scored, settings["setting"])
    first = time.time()
    scored.unlink()
    begun = settings["started"]
    cold_start = {"load": loaded - begun, "first_paper": first - loaded, "total": first - begun}
    print(json.dumps(cold_start), file=answers)
    for line in sys.stdin:
        order = json.loads(line)
        started = time.perf_counter()
        run(Path(order["papers"]), Path(order["output"]), order["setting"])
        wall = time.perf_counter() - started
        print(json.dumps({"wall_s": wall, "peak_rss_bytes": peak_rss_bytes()}), file=answers)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
