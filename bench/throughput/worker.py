"""A contestant's process: loads it once, then scores a Parquet file into another on each request.

It speaks JSON lines. The first one has the seconds until one paper was scored; each further one answers a request.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from bench.measure import BenchError
from ro32.model.processor import peak_rss_bytes

Run = Callable[[Path, Path, str], None]  # (papers, output, setting): writes id and score of each paper


class Worker:
    """The side that gives the orders, to a contestant in the folder of a bundle or subject; first to score one paper.

    Raises:
        BenchError: The process failed; its last words went to stderr.
    """

    def __init__(self, name: str, folder: Path, first: Path, setting: str) -> None:
        arguments = [name, str(folder), str(first), setting, str(time.time())]
        command = [sys.executable, "-m", "bench.throughput.worker", *arguments]
        self._name = name
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.cold_start_s: dict[str, float] = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def score(self, papers: Path, output: Path, setting: str) -> dict[str, Any]:
        """Score a file, and return the seconds it took (wall_s) and the most memory so far (peak_rss_bytes)."""
        order = {"papers": str(papers), "output": str(output), "setting": setting}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise BenchError(f"{self._name} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main(name: str, folder: str, first: str, setting: str, started: str) -> None:
    """Be the process that takes the orders."""
    # Libraries print what they like; answers go to what was stdout, and all else to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    run = _open_ours(Path(folder)) if name.startswith("ro32") else _open_peer(name, Path(folder))
    loaded = time.time()
    output = Path(first).with_name(f"first-{name}.parquet")
    run(Path(first), output, setting)
    scored, begun = time.time(), float(started)
    output.unlink()
    cold_start = {"load": loaded - begun, "first_paper": scored - loaded, "total": scored - begun}
    print(json.dumps(cold_start), file=answers)
    for line in sys.stdin:
        order = json.loads(line)
        before = time.perf_counter()
        run(Path(order["papers"]), Path(order["output"]), order["setting"])
        wall = time.perf_counter() - before
        print(json.dumps({"wall_s": wall, "peak_rss_bytes": peak_rss_bytes()}), file=answers)


def _open_ours(bundle: Path) -> Run:
    from ro32.model.classifier import Classifier
    from ro32.run.walk import score_file

    # Peers see every paper too; `bench cascade` measures the other.
    classifier = Classifier.load(bundle, full=True)

    def run(papers: Path, output: Path, _setting: str) -> None:
        score_file(papers, output, classifier=classifier)

    return run


def _open_peer(name: str, folder: Path) -> Run:
    import polars as pl

    from bench.throughput import peers

    scorer = getattr(peers, f"load_{name.replace('-', '_')}")(folder)

    def run(papers: Path, output: Path, setting: str) -> None:
        scores = scorer(peers.texts_of(papers), setting)
        pl.read_parquet(papers, columns=["id"]).with_columns(score=pl.Series(scores)).write_parquet(output)

    return run


if __name__ == "__main__":
    main(*sys.argv[1:])
