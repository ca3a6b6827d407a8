"""The error tree, and the exit code of each branch (after sysexits.h).

Ro32Error
├── UsageError            2   an option is wrong, or a package is missing
├── InputDataError       65   the input exists but is unusable
├── InputMissingError    66   the input does not exist or cannot be read
├── ClusterError         69   the cluster is missing, or a part crashed every worker that tried it
├── OutputError          73   the output cannot be created
├── ReadWriteError       74   the disk or the network failed while reading or writing
├── TryAgainError        75   locked by another run, or the input changed while it was read
└── BundleError          78   the bundle or checkpoint is missing, tampered with or unusable

Interrupted       129 / 130 / 143 / 152   SIGHUP / SIGINT / SIGTERM / SIGXCPU

Anything else that escapes is a bug: exit code 70. Only `ro32.cli` turns an error into an exit code.
A message says where, what was expected, what was found and what to do.
"""

import errno
import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

_NETWORK_ERRNOS = {errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN}
DISK_ERRNOS = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EUCLEAN, *_NETWORK_ERRNOS})
"""Error numbers of a failed or full disk, NFS, SMB and FUSE among them, and not of a wrong path or permissions."""

_SHORTAGES = {
    "there is not enough memory; raise the limit of this job (ulimit -v, MemoryMax=)": (
        "bad_alloc|bad allocation|Cannot allocate memory|failed to map segment|Failed to allocate memory"
    ),
    "no thread can be started; raise the limit of this job (ulimit -u, TasksMax=), or give --threads 1": (
        "can't start new thread|ThreadPoolBuildError|Resource temporarily unavailable"
    ),
    "too many files are open; raise the limit of this job (ulimit -n, LimitNOFILE=)": "Too many open files",
    "there is no folder for temporary files; set TMPDIR to a folder that can be written to": (
        "No usable temporary directory"
    ),
}
"""What a process may run out of: the message, and a pattern of the texts of the system, C++, Rust and the loader."""
_NAME_CHARS = 80


class Ro32Error(Exception):
    """Base of every error that ro32 raises on purpose."""

    exit_code: int = 70


class UsageError(Ro32Error):
    """An option or argument is wrong, or a package is missing."""

    exit_code = 2


class InputDataError(Ro32Error):
    """The input exists but is unusable: not Parquet, damaged, or without a required column."""

    exit_code = 65


class InputMissingError(Ro32Error):
    """The input does not exist or cannot be read."""

    exit_code = 66


class ClusterError(Ro32Error):
    """The cluster cannot be reached or is full, its nodes are unsuitable, or parts crashed their workers."""

    exit_code = 69


class OutputError(Ro32Error):
    """The output cannot be created."""

    exit_code = 73


class ReadWriteError(Ro32Error):
    """Reading or writing failed."""

    exit_code = 74


class TryAgainError(Ro32Error):
    """Another run holds the lock, or the input changed while it was read; a later run may succeed."""

    exit_code = 75


class BundleError(Ro32Error):
    """A bundle or checkpoint is missing, tampered with or unusable."""

    exit_code = 78


class Interrupted(BaseException):
    """The process was asked to stop.

    Like KeyboardInterrupt it does not derive from Exception: it can be raised inside a library, where an `except
    Exception` must not swallow it. The exit code is 128 plus the signal's number, as in a shell.
    """

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(f"stopped by {signal.Signals(signal_number).name}; no file is incomplete; run again to resume")


_interruption: Interrupted | None = None
_held_back = False


def note_interruption(stop: Interrupted | None) -> None:
    """Remember that a signal asked this process to stop, or forget it."""
    global _interruption  # noqa: PLW0603 - of the process, as signals are
    _interruption = stop


@contextmanager
def interruptions_held_back() -> Iterator[None]:
    """Let `check_interrupted` raise nothing until the end, and then what came meanwhile.

    For short calls that take locks of Python's: raised just after one was taken, an interruption would leave it locked,
    and a thread would wait for it forever.

    Raises:
        Interrupted: A signal came meanwhile, or before.
    """
    global _held_back  # noqa: PLW0603 - of the process, as signals are
    _held_back = True
    try:
        yield
    finally:
        _held_back = False
    check_interrupted()


def check_interrupted() -> None:
    """Raise the interruption that a signal asked for, unless it is held back; a library may have swallowed it."""
    if _interruption is not None and not _held_back:
        raise _interruption


def shortage(error: BaseException) -> ReadWriteError | None:
    """Return the error to report instead if the process has run out of memory, threads, files or temporary files.

    None if the error has another cause, or was raised on purpose.
    """
    if isinstance(error, ReadWriteError | TryAgainError | UsageError | ClusterError):
        return None
    link: BaseException | None = error
    while link is not None:
        text = "bad_alloc" if isinstance(link, MemoryError) else str(link)
        for message, pattern in _SHORTAGES.items():
            if re.search(pattern, text) and not isinstance(link, Ro32Error):  # ours quote names of files
                return ReadWriteError(message)
        link = link.__cause__ or link.__context__
    return None


def one_line(error: BaseException) -> str:
    """Return the text of an error of a library in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def few(names: Iterable[str], most: int = 20) -> str:
    """List names for a message: the first ones, each cut to a length that is read, and how many more there are."""
    listed = list(names)
    shown = ", ".join(name if len(name) <= _NAME_CHARS else f"{name[:_NAME_CHARS]}..." for name in listed[:most])
    return f"{shown} and {len(listed) - most:,} more" if len(listed) > most else shown


def nearest(word: str, known: Iterable[str], similarity: float = 0.6) -> str:
    """Return a question that names the known word most like one that is not; nothing where none is that similar.

    The similarity of two words is between 0 and 1.
    """
    by_small_letters = {item.lower(): item for item in known}
    matches = get_close_matches(word.lower(), list(by_small_letters), n=1, cutoff=similarity)
    return f"; did you mean {by_small_letters[matches[0]]!r}?" if matches else ""
