"""Processes that a test runs, many of them: what to run, and what is left of it.

Each is forked from a server that has done the imports (`tests.faults.fork_server`), and so takes a tenth of a second.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.faults.seam import Fault
from tests.faults.syscalls import Call

ROOT = Path(__file__).parents[2]
SCORE = "ro32.cli.score:main"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One process to run.

    Attributes:
        args: Its command line, without the program's name.
        entry: The function that is its main program, as module:function; by default that of ro32-score.
        folders: Folders whose calls are watched; without any, the process is only waited for.
        asking: Whether calls that only ask about files are watched too.
        fault: What goes wrong.
        signal: A signal that the process gets at some time.
        signal_after_s: At which, in seconds from its start.
        limit_s: When it is taken to hang, and killed.
    """

    args: Sequence[str]
    entry: str = SCORE
    folders: Sequence[str] = ()
    asking: bool = False
    fault: Fault | None = None
    signal: int | None = None
    signal_after_s: float = 0.0
    limit_s: float = 60.0

    def to_json(self) -> str:
        """Return the job as one line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "fault": values["fault"] and Fault(**values["fault"])})


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What is left of a process.

    Attributes:
        code: Exit code; minus the signal's number where a signal ended it.
        output: What it wrote to stdout and stderr.
        calls: The watched calls, in order.
        seconds: Wall-clock time.
        peak_rss_bytes: Largest resident memory.
        hung: Whether it was killed at its time limit.
    """

    code: int
    output: str
    calls: tuple[Call, ...]
    seconds: float
    peak_rss_bytes: int
    hung: bool

    def to_json(self) -> str:
        """Return it as one line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "calls": tuple(Call(name, tuple(paths)) for name, paths in values["calls"])})


class ForkServer:
    """The server, seen from the tests. Used as a context manager; runs one job at a time.

    Args:
        prefix: A command that runs the command after it.

    Attributes:
        pid: Number of the server's process.
        why_no_faults: Why no calls can be watched here; None where they can.
    """

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.faults.fork_server"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt at the terminal is for pytest alone
        )
        hello = self._read_line()
        self.pid: int = json.loads(hello)["pid"]
        self.why_no_faults: str | None = json.loads(hello)["why_no_faults"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            _there(self._process.stdin).close()  # the end of its work

    def run(self, job: Job) -> Ended:
        """Run one process to its end."""
        jobs = _there(self._process.stdin)
        jobs.write(job.to_json() + "\n")
        jobs.flush()
        return Ended.from_json(self._read_line())

    def _read_line(self) -> str:
        line = _there(self._process.stdout).readline()
        assert line, "the fork server died; its stderr tells why"
        return line


def _there(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
