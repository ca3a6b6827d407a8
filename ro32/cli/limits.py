"""Checks resource limits at the start: reports limits that are too low before a library aborts."""

import os
import resource
import sys
from contextlib import suppress
from threading import Event, Thread
from typing import NoReturn

from ro32.errors import ReadWriteError

LEAST = {
    resource.RLIMIT_AS: (1_500 << 20, "bytes of address space", "ulimit -v"),
    resource.RLIMIT_NOFILE: (16, "open files", "ulimit -n"),
}
"""What a command needs at least. With less address space pyarrow's and Polars' libraries cannot be mapped, or abort the
process when they start their threads: measured with two cores, where 1.2 GiB failed and 1.5 GiB did not."""
_THREADS, _THREADS_PER_CORE = 9, 2
"""What the libraries start, one scoring thread per core included: measured with two cores, where 12 threads failed and
13 did not. With too few OpenBLAS interrupts the process, and Polars panics, while they are imported."""


def check() -> None:
    """Leave the process with exit code 74 where a limit is too low."""
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


def _leave(sentence: str) -> NoReturn:
    with suppress(OSError):
        os.write(2, f"ro32: {sentence}\n".encode())
    sys.exit(ReadWriteError.exit_code)
