"""Runs measured functions: each in a fresh process, in turns, with time and peak memory."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ro32.model.processor import peak_rss_bytes

Say = Callable[[str], object]  # shows a line about the progress
Case = tuple[str, Mapping[str, Any]]  # what `run_child` takes


class BenchError(Exception):
    """A process that was to be measured failed."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """What a measured process did."""

    result: dict[str, Any]  # what its function returned, JSON values
    wall_s: float  # from its start to its end, imports included
    peak_rss_bytes: int  # the most memory it held at once


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Summarize repeats of one figure: median, q1 and q3."""
    q1, median, q3 = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": median, "q1": q1, "q3": q3}


def run_child(target: str, settings: Mapping[str, Any]) -> Child:
    """Call `module:function` in a process of its own: it takes the settings and returns a dict, both of JSON values.

    Raises:
        BenchError: The process failed; its last words went to stderr.
    """
    started = time.perf_counter()
    command = [sys.executable, "-m", "bench.measure", target, json.dumps(settings)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{target} ended with {done.returncode}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Child(result=said["result"], wall_s=time.perf_counter() - started, peak_rss_bytes=said["peak_rss_bytes"])


def take_turns(cases: Mapping[str, Case], repeats: int, say: Say) -> dict[str, list[Child]]:
    """Measure several cases in turns, so that a busy minute of the machine hits all; settings get the `repeat`."""
    found: dict[str, list[Child]] = {name: [] for name in cases}
    for repeat in range(repeats):
        for name, (target, settings) in cases.items():
            say(f"repeat {repeat + 1} of {repeats}: {name}")
            found[name].append(run_child(target, {**settings, "repeat": repeat}))
    return found


def main(target: str, settings: str) -> None:
    """Be the process that is measured."""
    module, _, name = target.partition(":")
    result = getattr(importlib.import_module(module), name)(json.loads(settings))
    print(json.dumps({"result": result, "peak_rss_bytes": peak_rss_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
