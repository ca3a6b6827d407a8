"""One run at a time for each target."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ro32 import strict_json
from ro32.errors import DISK_ERRNOS, OutputError, TryAgainError
from ro32.storage import object_lock
from ro32.storage.files import Target

_GRACE_S = 0.2
"""How long a run waits for the lock: no run ends so soon, but `holder` asks for it and lets go at once."""


def lock_path(target: Path) -> Path:
    """Return the lock file of a target: beside it, hidden. It stays: the kernel frees the lock, not its name."""
    return target.with_name(f".{target.name}.lock")


@contextmanager
def only_run(target: Target) -> Iterator[None]:
    """Hold the lock of a target.

    Of a file, the kernel holds it for this process, so nothing that ends the process leaves it behind.

    Raises:
        TryAgainError: Another run holds it; says which.
        OutputError: The lock cannot be created, or the file system knows none.
        UnreachableError: A store failed.
        OSError: The disk is full or failed.
    """
    if not isinstance(target, Path):
        with object_lock.only_run(target):
            yield
        return
    path = lock_path(target)
    lock = FileLock(path, timeout=_GRACE_S, fallback_to_soft=False)  # a soft lock would outlive kill -9
    try:
        path.touch()  # where no file can be created, filelock would wait for one and say that the lock is held
        lock.acquire()
    except Timeout:
        raise TryAgainError(f"{target}: {_holder(path)} is writing it; wait for its end") from None
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise
        raise OutputError(
            f"{target}: cannot be created: its lock {path.name}: {error.strerror}; "
            "name a file in a folder that exists, is writable and allows locks"
        ) from error
    try:
        _sign(path)
        yield
    finally:
        with suppress(OSError):  # the end of the process frees it too; what was done in its shelter is done
            lock.release()


def holder(target: Target) -> str | None:
    """Tell in words which run is writing a target; None where none is, or where the lock may not be looked at."""
    if not isinstance(target, Path):
        return object_lock.holder(target)
    path = lock_path(target)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # there is no way to ask without taking
    except BlockingIOError:
        return _holder(path)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _sign(path: Path) -> None:
    """Tell in the lock file who holds it. Only a hint for people, so it is neither synced nor renamed."""
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.write_text(json.dumps(holder))


def _holder(path: Path) -> str:
    try:
        holder = strict_json.parse(path.read_text())
        return f"process {holder['pid']} on {holder['host']}, started {holder['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
