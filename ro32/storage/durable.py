"""Files that survive a crash: written under another name, on the disk, then renamed into place.

Every file that ro32-score leaves behind goes through here, so a fault at any moment leaves the old file or the new
one, never a part of one.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ro32.errors import DISK_ERRNOS, OutputError, ReadWriteError

TEMPORARY_SUFFIX = ".tmp"


def create_beside(target: Path) -> tuple[Path, BinaryIO]:
    """Open a new file with a hidden, unique name in the target's folder.

    Returns:
        Its path and the file, open for writing.

    Raises:
        OutputError: The folder does not exist or cannot be written to.
        OSError: The disk is full or failed.
    """
    path = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        return path, path.open("xb")
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise
        raise OutputError(
            f"{target}: cannot be created: {error.strerror}; name a file in a folder that exists and is writable"
        ) from error


def check_creatable(target: Path) -> None:
    """Check that a file can be created beside its place, without leaving anything.

    Raises:
        OutputError: The folder does not exist or cannot be written to.
    """
    temporary, file = create_beside(target)
    file.close()
    temporary.unlink()


def publish(temporary: Path, file: BinaryIO, target: Path) -> None:
    """Make a complete temporary file appear under its target's name, and survive a power cut.

    Args:
        temporary: The file's present path.
        file: The same file, open; closed by this.
        target: A path in the same folder; replaced if it is there.

    Raises:
        OSError: The disk is full or failed; the target is as it was.
        ReadWriteError: The target is new and whole, but a power cut may bring the old one back.
    """
    file.flush()
    os.fsync(file.fileno())
    file.close()
    temporary.replace(target)
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise ReadWriteError(
            f"{target}: is in place and complete, but the disk does not confirm it ({error.strerror}), so a power cut "
            "may bring back what was there before; run again"
        ) from error


def write(target: Path, data: bytes) -> None:
    """Write a whole file.

    Raises:
        OutputError: The folder does not exist or cannot be written to.
        OSError: The disk is full or failed; the target is as it was.
        ReadWriteError: As `publish` raises it.
    """
    temporary, file = create_beside(target)
    try:
        with file:
            file.write(data)
            publish(temporary, file, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder survive a power cut.

    Raises:
        OSError: The disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
