"""Files that survive a crash: written under a temporary name, synced, then renamed into place.

Every file that ro32-score leaves behind goes through here, so a fault at any moment leaves the old file or the new
one, never a part of one.
"""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ro32.errors import DISK_ERRNOS, OutputError, ReadWriteError
from ro32.storage.files import require_regular

_TOKEN_BYTES = 4
_ADVICE = "name a file in a folder that exists and is writable"


def create_beside(target: Path) -> tuple[Path, BinaryIO]:
    """Open a new file with a hidden, unique name in the target's folder.

    It has the mode of the file that it is to replace, and its owner and group where this process may give them away.
    """
    path = _temporary(target, secrets.token_hex(_TOKEN_BYTES))
    try:
        file = path.open("xb")
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise
        raise OutputError(f"{target}: cannot be created: {error.strerror}; {_ADVICE}") from error
    with suppress(OSError):  # nothing stands there, or the file system has no modes
        _take_after(file.fileno(), target.stat())
    return path, file


def _temporary(target: Path, token: str) -> Path:
    return target.with_name(f".{target.name}.{token}.tmp")


def is_temporary(path: Path, target: Path) -> bool:
    """Return whether a path is what `create_beside` leaves for this very target when a run is killed."""
    name = rf"\.{re.escape(target.name)}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.tmp"
    return re.fullmatch(name, path.name, re.DOTALL) is not None and is_plain(path)


def is_plain(path: Path) -> bool:
    """Return whether a path is a regular file itself, and no link to one."""
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def create_folder(folder: Path) -> None:
    """Create a folder and those that it is in, unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise
        blocked = isinstance(error, NotADirectoryError | FileExistsError)
        advice = "remove what is in its place" if blocked else "name an output in a folder that is writable"
        raise OutputError(f"{folder}: cannot be created: {error.strerror}; {advice}") from error


def check_creatable(target: Path) -> None:
    """Check that a file can be created beside its place and take that place, without leaving anything."""
    check_replaceable(target)
    temporary, file = create_beside(target)
    file.close()
    try:
        temporary.unlink()
    except OSError as error:  # a folder to which files can only be added
        raise OutputError(f"{target}: cannot be replaced later: {error.strerror}; {_ADVICE}") from error


def check_room_for_name(target: Path) -> None:
    """Raise OutputError for a name so long that the file could not be written under its temporary one."""
    temporary = _temporary(target, "0" * 2 * _TOKEN_BYTES)
    folder = next(folder for folder in target.absolute().parents if folder.exists())  # that of labels is not there yet
    try:
        (folder / temporary.name).lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(
                f"{target}: cannot be created: {error.strerror} (a temporary one is longer); choose a shorter name"
            ) from error


def check_replaceable(target: Path) -> None:
    """Check that a rename onto a file or folder would succeed. Nothing is changed.

    Raises:
        OutputError: It is a mount point, an immutable file, another user's file in a sticky folder, or not a
            regular file.
        ReadWriteError: The disk failed.
    """
    if not target.is_dir():
        require_regular(target, OutputError, "name another place")
    try:
        # The kernel checks whether an entry may be removed before it finds that the call does not fit its kind.
        target.unlink() if target.is_dir() else target.rmdir()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        pass
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise ReadWriteError(f"{target}: checking it failed: {error.strerror}; run again") from error
        raise OutputError(f"{target}: cannot be replaced: {error.strerror}; name another place") from error
    if _is_mount(target):
        raise OutputError(f"{target}: cannot be replaced, since it is a mount point; mount its folder instead")


def _is_mount(path: Path) -> bool:
    """Return whether something is mounted at a path, even from the same file system, which `os.path.ismount` misses."""
    try:
        return _mount_id(path) != _mount_id(path.parent)
    except (OSError, ValueError):  # nothing stands there, or no /proc
        return False


def _mount_id(path: Path) -> int:
    """Return the number of the mount that a path is in.

    Source: https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html
    """
    descriptor = os.open(path, os.O_PATH)
    try:
        info = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    finally:
        os.close(descriptor)
    return int(info.partition("mnt_id:")[2].split()[0])


def _take_after(descriptor: int, before: os.stat_result) -> None:
    """Give a file owner, group and mode of another, as far as this process is allowed to."""
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
            with suppress(OSError):  # also an owner whom this process has no number for
                os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o777)


def publish(temporary: Path, file: BinaryIO, target: Path) -> None:
    """Make a complete temporary file, which is closed by this, appear under its target's name, and survive a power cut.

    The target, in the same folder, is replaced if it is there.

    Raises:
        OSError: The disk is full or failed; the target is as it was.
        OutputError: What stands there cannot be replaced, which `check_creatable` finds out earlier.
        ReadWriteError: The target is new and whole, but a power cut may bring the old one back.
    """
    file.flush()
    os.fsync(file.fileno())
    file.close()
    require_regular(target, OutputError)
    try:
        temporary.replace(target)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EACCES, errno.EBUSY, errno.EISDIR}:
            raise
        raise OutputError(f"{target}: cannot be replaced: {error.strerror}; name another place") from error
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise ReadWriteError(
            f"{target}: is in place and complete, but the disk does not confirm it ({error.strerror}), so a power cut "
            "may restore the previous file; run again"
        ) from error


def write(target: Path, data: bytes) -> None:
    """Write a whole file; raises as `publish` does."""
    temporary, file = create_beside(target)
    try:
        with file:
            file.write(data)
            publish(temporary, file, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def sync_files(folder: Path) -> None:
    """Sync the files of a folder, which a rename of the folder alone would not."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that files created, renamed or removed in it survive a power cut.

    Some file systems, older SMB among them, cannot sync a folder, and say so by EINVAL.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
