"""Checks resource limits at the start: reports what would let a library abort before it does."""

import os
import resource
import sys
from contextlib import suppress
from threading import Event, Thread
from typing import NoReturn

from ro32.errors import ReadWriteError, Ro32Error, UsageError

_ADDRESS_SPACE_PER_CORE, _MOST_CORES = 125 << 20, 16
LEAST = {
    resource.RLIMIT_AS: (
        (1_500 << 20) + _ADDRESS_SPACE_PER_CORE * min(len(os.sched_getaffinity(0)), _MOST_CORES),
        "bytes of address space",
        "ulimit -v",
    ),
    resource.RLIMIT_DATA: (1_000 << 20, "bytes of data", "ulimit -d"),
    resource.RLIMIT_NOFILE: (16, "open files", "ulimit -n"),
}
"""What a command needs at least. With less memory pyarrow's and Polars' libraries cannot be mapped, or abort the
process when they start their threads. Measured: 1.6 GB of address space are enough with one core and too few with two,
where 1.7 GB are enough; 2.5 GB are too few for 16 and 48 threads, and 3.5 GB enough for both. With 300 and 500 MB of
data some runs failed, with 600 MB none."""
_THREADS, _THREADS_PER_CORE = 9, 2
"""What the libraries start, one scoring thread per core included: measured with two cores, where 12 threads failed and
13 did not. With too few OpenBLAS interrupts the process, and Polars panics, while they are imported."""
_POLARS = ("POLARS_MAX_THREADS", "POLARS_ASYNC_THREAD_COUNT", "POLARS_MAX_BLOCKING_THREAD_COUNT")
"""Variables with which Polars panics if they are 0; whatever else is no number it warns of."""


def check() -> None:
    """Leave the process with exit code 74 where a limit is too low, and 2 where Polars is to have no threads."""
    for variable in _POLARS:
        if os.environ.get(variable, "").strip() == "0":
            _leave(f"the variable {variable} is 0; expected at least 1; unset it", UsageError)
    for limit, (least, what, command) in LEAST.items():
        allowed, _ = resource.getrlimit(limit)
        if allowed != resource.RLIM_INFINITY and allowed < least:
            _leave(f"{allowed:,} {what} are allowed, {least:,} are needed; raise the limit ({command})")
    needed = _THREADS + _THREADS_PER_CORE * len(os.sched_getaffinity(0))
    started = _startable(needed)
    if started < needed:
        _leave(f"{started} threads can be started, {needed} are needed; raise the limit (ulimit -u, TasksMax=)")


def _startable(most: int) -> int:
    """Return how many threads can be started, up to a number. No limit tells it: other processes count too."""
    done, threads = Event(), list[Thread]()
    with suppress(RuntimeError):
        for _ in range(most):
            thread = Thread(target=done.wait, daemon=True)
            thread.start()
            threads.append(thread)
    done.set()
    for thread in threads:
        thread.join()
    return len(threads)


def _leave(sentence: str, kind: type[Ro32Error] = ReadWriteError) -> NoReturn:
    with suppress(OSError):
        os.write(2, f"ro32: {sentence}\n".encode())
    sys.exit(kind.exit_code)
