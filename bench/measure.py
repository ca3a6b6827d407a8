"""Runs measured commands: each in a fresh process, alternating, with time and peak memory."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


class BenchError(Exception):
    """A process that was to be measured failed."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """What a measured process did.

    Attributes:
        result: What its function returned, JSON values.
        wall_s: Seconds from its start to its end, imports included.
        peak_rss_bytes: Most memory it held at once.
    """

    result: dict[str, Any]
    wall_s: float
    peak_rss_bytes: int


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Repeats of one figure: the median, and the quartiles around it."""

    median: float
    q1: float
    q3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarize one or more values."""
        q1, median, q3 = np.percentile(values, [25, 50, 75])
        return cls(median=float(median), q1=float(q1), q3=float(q3))

    def __str__(self) -> str:
        return f"{self.median:.4g} ({self.q1:.4g} to {self.q3:.4g})"


def run_child(target: str, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Child:
    """Call `module:function` in a process of its own: it takes the settings and returns a dict, both of JSON values.

    Raises:
        BenchError: The process failed; its last words went to stderr.
    """
    started = time.perf_counter()
    command = [sys.executable, "-m", "bench.measure", target, json.dumps(settings)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})}, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{target} ended with {done.returncode}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Child(result=said["result"], wall_s=time.perf_counter() - started, peak_rss_bytes=said["peak_rss_bytes"])


def peak_rss_bytes() -> int:
    """Return the most memory that this process held at once.

    Not from getrusage: its figure begins with what the parent held when it started this process.

    Source: VmHWM of https://docs.kernel.org/filesystems/proc.html
    """
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def take_turns(
    contestants: Mapping[str, Callable[[int], Child]], repeats: int, say: Callable[[str], object]
) -> dict[str, list[Child]]:
    """Measure several things in turns, so that a busy minute of the machine hits all; each gets the repeat."""
    found: dict[str, list[Child]] = {name: [] for name in contestants}
    for repeat in range(repeats):
        for name, measure in contestants.items():
            say(f"repeat {repeat + 1} of {repeats}: {name}")
            found[name].append(measure(repeat))
    return found


def main(target: str, settings: str) -> None:
    """Be the process that is measured."""
    module, _, name = target.partition(":")
    result = getattr(importlib.import_module(module), name)(json.loads(settings))
    print(json.dumps({"result": result, "peak_rss_bytes": peak_rss_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
