"""The error tree, and the exit code of each branch (after sysexits.h).

Ro32Error
├── UsageError            2   an option is out of its range
├── InputDataError       65   the input is there but is not what it should be
├── InputMissingError    66   the input is not there or cannot be read
├── ClusterError         69   the cluster is not there, or a part killed every worker that it was given to
├── OutputError          73   the output cannot be created
├── ReadWriteError       74   the disk or the network failed while reading or writing
│   └── OutOfMemoryError      there is too little memory
├── TryAgainError        75   locked by another run, or the input changed while it was read
└── BundleError          78   the bundle or checkpoint is missing, tampered with or unusable

Interrupted       130 / 143   SIGINT / SIGTERM

Anything else that escapes is a bug: exit code 70. Only `ro32.cli` turns an error into an exit code.
A message says where, what was expected, what was found and what to do.
"""

import errno
import signal
from collections.abc import Iterable
from difflib import get_close_matches

DISK_ERRNOS = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT})
"""Error numbers that speak of the disk, which failed or is full, and not of a path or its permissions."""


class Ro32Error(Exception):
    """Base of every error that ro32 raises on purpose."""

    exit_code: int = 70


class UsageError(Ro32Error):
    """An option or argument is out of its range."""

    exit_code = 2


class InputDataError(Ro32Error):
    """The input exists but is not what it should be: not Parquet, damaged, or without a needed column."""

    exit_code = 65


class InputMissingError(Ro32Error):
    """The input does not exist or cannot be read."""

    exit_code = 66


class ClusterError(Ro32Error):
    """The cluster cannot be reached or has no room, its nodes are not fit, or parts killed their workers."""

    exit_code = 69


class OutputError(Ro32Error):
    """The output cannot be created where it was asked for."""

    exit_code = 73


class ReadWriteError(Ro32Error):
    """Reading or writing failed half-way."""

    exit_code = 74


class OutOfMemoryError(ReadWriteError):
    """There is too little memory for the work, which says nothing of the input.

    Args:
        where: What was being done.
    """

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: there is too little memory; give the process more (ulimit -v, the limit of a container), or run "
            "it with fewer --threads"
        )


class TryAgainError(Ro32Error):
    """Another run holds the lock, or the input changed while it was read; a later run may succeed."""

    exit_code = 75


class BundleError(Ro32Error):
    """A bundle or checkpoint is missing, tampered with or unusable."""

    exit_code = 78


class Interrupted(BaseException):
    """The process was asked to stop.

    Like KeyboardInterrupt it is no Exception: it may come anywhere, within a library too, and what catches every
    exception there must not take it for one of its own.

    Args:
        signal_number: SIGINT or SIGTERM; the exit code is 128 plus this number, as shells count it.
    """

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(
            f"stopped by {signal.Signals(signal_number).name}; no file is left half written; run again to go on"
        )


def nearest(word: str, known: Iterable[str], similarity: float = 0.6) -> str:
    """Return a question that names the known word most like one that is not; nothing where none is like it.

    Args:
        word: What was said.
        known: What there is.
        similarity: From which likeness on, 0 to 1, a word counts as meant.
    """
    by_small_letters = {item.lower(): item for item in known}
    matches = get_close_matches(word.lower(), list(by_small_letters), n=1, cutoff=similarity)
    return f"; did you mean {by_small_letters[matches[0]]!r}?" if matches else ""
