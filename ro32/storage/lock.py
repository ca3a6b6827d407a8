"""One run at a time for each target.

The lock of a file is a file beside it, which the kernel locks for the process, so nothing that ends the process leaves
it locked. The holder removes the file at the end, so a new holder checks that its file still exists.
"""

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ro32.errors import DISK_ERRNOS, OutputError, TryAgainError
from ro32.storage import object_lock, strict_json
from ro32.storage.durable import check_replaceable
from ro32.storage.files import Target, require_regular

_GRACE_S = 0.2
"""How long a run waits for the lock: no run ends so soon, but `holder` asks for it and lets go at once."""
_PAUSE_S = 0.01
_MODE = 0o666
"""Less the umask: who may write beside the target may be its next writer."""


def lock_path(target: Path) -> Path:
    """Return the lock file of a target: beside it, hidden."""
    return target.with_name(f".{target.name}.lock")


@contextmanager
def only_run(target: Target) -> Iterator[None]:
    """Hold the lock of a target.

    Raises:
        TryAgainError: Another run holds it; says which.
        OutputError: The lock cannot be created, the file system knows none, or files in the folder cannot be replaced.
        OSError: The disk is full or failed.
    """
    if not isinstance(target, Path):
        with object_lock.only_run(target):
            yield
        return
    path = lock_path(target)
    require_regular(path, OutputError, f"remove it, so that {target} can be locked, or name another file")
    try:
        descriptor = _acquire(path)
    except BlockingIOError:
        raise TryAgainError(f"{target}: {_holder(path)} is writing it; wait until it ends") from None
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise
        advice = "name a file in a folder that exists, is writable and allows locks"
        if isinstance(error, PermissionError) and os.path.lexists(path):
            advice = "if no other user's run is active, remove it"
        raise OutputError(f"{target}: cannot be created: its lock {path.name}: {error.strerror}; {advice}") from error
    try:
        check_replaceable(path)  # as the labels are to be: the folder may let files be added alone
        _sign(descriptor)
        yield
    finally:
        with suppress(OSError):  # the end of the process frees it too; what was done in its shelter is done
            if _is_at(descriptor, path):
                path.unlink()
        with suppress(OSError):
            os.close(descriptor)


def _acquire(path: Path) -> int:
    """Open and lock a file, and return its descriptor; raise BlockingIOError if another run holds the lock."""
    until = time.monotonic() + _GRACE_S
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                raise
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # locked, or removed by the run that held it
        time.sleep(_PAUSE_S)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path still names an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def holder(target: Target) -> str | None:
    """Describe the run that is writing a target; None if there is none, or if the lock cannot be read."""
    if not isinstance(target, Path):
        return object_lock.holder(target)
    path = lock_path(target)
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
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


def _sign(descriptor: int) -> None:
    """Name the holder in the lock file. Only a hint for people, so it is neither synced nor renamed.

    A file with another name is left as it is: it may be anything.
    """
    if os.fstat(descriptor).st_nlink > 1:
        return
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(object_lock.signature()).encode(), 0)


def _holder(path: Path) -> str:
    record = None
    with suppress(OSError, ValueError):
        record = strict_json.parse(path.read_text())
    return object_lock.describe(record)
