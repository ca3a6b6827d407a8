"""A process that has done the imports of ro32-score, and forks: a run without a second of start-up.

A child starts where a fresh interpreter would be after its imports, and ends as one does.
That is sound because the server only imports: no model is loaded and no frame is made before the fork, so no thread of
a pool exists that a child would miss. `test_runs.py` compares such a run with one in a fresh process.

    python -m tests.faults.fork_server      reads a job a line from stdin, writes what is left of it to stdout
"""

import json
import os
import resource
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module

from tests.faults import seam
from tests.faults.runs import Ended, Job
from tests.faults.seam import Supervisor
from tests.faults.syscalls import ASKING, CHANGING, READING, Syscall
from tests.warm import end

PRELOADED = ("ro32.cli.score", "pyarrow.compute", "numpy.ma", "tests.faults.programs")
"""What jobs import; each imported once, here."""

Main = Callable[[], object]


def serve() -> Main | None:
    """Run jobs until stdin ends. In a child, return the main program that is to follow."""
    for line in sys.stdin:
        job, output, (ours, theirs) = Job.from_json(line), os.memfd_create("output"), socket.socketpair()
        started = time.monotonic()
        if (child := _fork()) == 0:
            ours.close()
            return _become(job, output, theirs)
        theirs.close()
        _say(_wait(job, child, ours, output, started).to_json())
        ours.close()
        os.close(output)
    return None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fork() -> int:
    with warnings.catch_warnings():
        # Since Python 3.12 a fork beside other threads warns; those here are of allocators, and know of forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become(job: Job, output: int, supervisor: socket.socket) -> Main:
    """Turn this child into the job's process: output, command line, and who watches its calls."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, standard)
    os.close(nothing)
    os.close(output)
    module, _, function = job.entry.partition(":")
    main: Main = getattr(import_module(module), function)
    sys.argv = [function, *job.args]
    if job.folders:
        listener = seam.install(_watched(job))
        socket.send_fds(supervisor, [b"!"], [listener])
        os.close(listener)
    supervisor.close()
    return main


def _watched(job: Job) -> dict[int, Syscall]:
    return CHANGING | READING | (ASKING if job.asking else {})


def _wait(job: Job, child: int, ours: socket.socket, output: int, started: float) -> Ended:
    """Wait for the job's process, and decide about its calls if it is watched."""
    supervisor = Supervisor(process=child, calls=_watched(job), folders=job.folders, fault=job.fault, signal=job.signal)
    listener = socket.recv_fds(ours, 1, 1)[1][0] if job.folders else None
    hung = not supervisor.watch(listener, started + job.limit_s, started + job.signal_after_s)
    _, status, usage = os.wait4(child, 0)
    return Ended(
        code=os.waitstatus_to_exitcode(status),
        output=os.pread(output, os.fstat(output).st_size, 0).decode(errors="replace"),
        calls=tuple(supervisor.seen),
        seconds=time.monotonic() - started,
        peak_rss_bytes=usage.ru_maxrss * 1024,
        hung=hung,
    )


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a child gets before it installs its handlers ends it
    hello = {"pid": os.getpid(), "why_no_faults": seam.why_not()}
    for name in PRELOADED:
        import_module(name)
    _say(json.dumps(hello))
    if (to_run := serve()) is not None:
        end(to_run)
