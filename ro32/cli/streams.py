"""Standard streams that are always usable: a closed, full or broken one affects only what is read or written there.

What cannot be written to stderr is dropped. What cannot be written to stdout ends a command with 74.
"""

import io
import os
import sys
from typing import Any, TextIO

from ro32.errors import ReadWriteError

STDIN, STDOUT, STDERR = 0, 1, 2


class OutputGoneError(ReadWriteError):
    """Stdout has no reader any more, as in `ro32-bundle list | head -1`. There is nothing to report."""


class _Output(io.FileIO):
    """A standard stream. What cannot be written to stdout is an error once, and is dropped from then on."""

    _failed = False

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer
        """Write some bytes."""
        if self._failed:
            return len(data)
        try:
            return os.write(self.fileno(), data)
        except OSError as error:
            if self.fileno() == STDERR:
                return len(data)
            self._failed = True
            if isinstance(error, BrokenPipeError):
                raise OutputGoneError("stdout: its reader is gone") from error
            raise ReadWriteError(
                f"stdout: writing failed: {error.strerror}; free space, or name another place"
            ) from error


def reserve() -> None:
    """Open what is closed of the three, so that no file of ours gets its number and is then written to as a log.

    As coreutils does it, /dev/null is opened the wrong way round: to read or write there is an error, as it was. Those
    that are open wait from now on: else a pipe that is empty for a moment would look like its end.
    """
    for descriptor, mode in ((STDIN, os.O_WRONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_RDONLY)):
        try:
            os.set_blocking(descriptor, True)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number, which is this one


def replace() -> None:
    """Let stdout and stderr of this process be streams that end nothing by a failure."""
    reserve()  # what was closed since
    sys.stdout = _text(sys.stdout, STDOUT)
    sys.stderr = _text(sys.stderr, STDERR)


def flush() -> None:
    """Write the buffered text; raise ReadWriteError if stdout cannot be written to."""
    sys.stdout.flush()
    sys.stderr.flush()


def _text(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a stream like the one that Python opened, if it did."""
    if stream is not None:
        stream.flush()
    raw = _Output(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",  # a locale that lacks a character loses the character and not the run
        line_buffering=descriptor == STDERR or raw.isatty(),
    )
