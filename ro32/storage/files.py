"""Files on a disk and objects in a store: the few things that are asked of both."""

import errno
import io
import os
import stat
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from ro32.errors import Ro32Error
from ro32.storage.object_target import ObjectTarget
from ro32.storage.objects import StoredObject

InputFile = Path | StoredObject
"""Both have a name and a suffix, open for reading, and are shown by `str`."""

Target = Path | ObjectTarget
"""Where labels are to appear; both have a name and a suffix, and are shown by `str`."""

Identity = tuple[int | str, int | str, int, int]
"""Two marks of the file itself, size in bytes and time of modification in ns."""


class Kind(StrEnum):
    """What stands at a path."""

    FILE = "a file"
    FOLDER = "a folder"
    PIPE = "a named pipe (FIFO)"
    SOCKET = "a socket"
    DEVICE = "a device"
    DANGLING = "a link to nothing"


_SPECIAL = {
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
}


def kind_of(path: Path) -> Kind | None:
    """Return what stands at a path, links followed; None where nothing does. Nothing is opened.

    Raises:
        OSError: The path cannot be looked at: no permission, a name that is too long, a link to itself.
    """
    try:
        return _SPECIAL.get(stat.S_IFMT(path.stat().st_mode), Kind.FILE)
    except (FileNotFoundError, NotADirectoryError):
        return Kind.DANGLING if path.is_symlink() else None


def require_regular(path: Path, refused: type[Ro32Error], advice: str = "name a file") -> None:
    """Refuse what is there and is no regular file: to open a pipe waits for ever, to replace a device destroys it.

    A path where nothing stands passes.

    Args:
        path: What somebody named.
        refused: What to raise.
        advice: What to do about it.

    Raises:
        Ro32Error: `refused`: a device, pipe, socket, folder or link to nothing stands there, or it cannot be looked at.
    """
    try:
        found = kind_of(path)
    except OSError as error:
        raise refused(f"{path}: cannot be looked at: {error.strerror}; {advice}") from error
    if found not in {None, Kind.FILE}:
        raise refused(f"{path}: expected a file, found {found}; {advice}")


def identity_of(file: InputFile) -> Identity:
    """Return what tells a file from what may come in its place.

    Device, inode, size and time of a file as it is now; the store's two marks, size and time of an object as it was
    when it was found, since nothing else of it is ever read.

    Raises:
        OSError: The file is not there, or cannot be looked at.
    """
    if isinstance(file, Path):
        status = file.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    version = file.version
    return version.e_tag or "", version.generation or "", version.size, version.modified_ns


def size_of(file: InputFile) -> int:
    """Return a file's bytes.

    Raises:
        OSError: The file is not there, or cannot be looked at.
    """
    return file.stat().st_size if isinstance(file, Path) else file.version.size


def for_arrow(file: InputFile) -> Path | io.RawIOBase | pa.NativeFile:
    """Return what pyarrow reads of a Parquet file: the ranges that it needs, and no other.

    Raises:
        OSError: It is a device, pipe, socket or folder, which pyarrow would wait for.
    """
    if not isinstance(file, Path):
        return file.ranges()
    if kind_of(file) not in {None, Kind.FILE}:
        raise OSError(errno.EINVAL, "Not a regular file", str(file))
    name = os.fsencode(file)
    # pyarrow takes a name that is no UTF-8 as bytes alone, and these only here
    return file if name.decode(errors="replace").encode() == name else pa.OSFile(name)


def full_name(file: InputFile) -> str:
    """Return a file's path with links resolved, or an object's URL."""
    return str(file.resolve() if isinstance(file, Path) else file)
