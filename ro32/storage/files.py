"""Files on a disk and objects in a store: their common operations."""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from ro32.errors import DISK_ERRNOS, InputDataError, InputMissingError, ReadWriteError, Ro32Error, TryAgainError
from ro32.storage.object_target import ObjectTarget
from ro32.storage.objects import StoredObject

InputFile = Path | StoredObject
"""Both have `name`, `suffix` and `open`, and `str` shows them."""

Target = Path | ObjectTarget
"""Where labels are to appear; both have `name` and `suffix`, and `str` shows them."""

Identity = tuple[int | str, int | str, int, int]
"""Two marks of the file itself, size in bytes and time of modification in ns."""

_PARQUET = b"PAR1"
_PARQUET_TAIL_BYTES = 8
"""Length of the footer, 4 bytes, and the same mark as at the beginning.

Source: https://parquet.apache.org/docs/file-format
"""
_END_BYTES = 64 << 10


class FileKind(StrEnum):
    """What stands at a path."""

    FILE = "a file"
    FOLDER = "a folder"
    PIPE = "a named pipe (FIFO)"
    SOCKET = "a socket"
    DEVICE = "a device"
    DANGLING = "a link to nothing"


_SPECIAL = {
    stat.S_IFDIR: FileKind.FOLDER,
    stat.S_IFIFO: FileKind.PIPE,
    stat.S_IFSOCK: FileKind.SOCKET,
    stat.S_IFCHR: FileKind.DEVICE,
    stat.S_IFBLK: FileKind.DEVICE,
}


def file_at(target: Target) -> InputFile | None:
    """Return the present file at a target; a path is returned even if no file is there."""
    return target if isinstance(target, Path) else target.labels_before


def kind_of(path: Path) -> FileKind | None:
    """Return what stands at a path, links followed; None if nothing exists there. Nothing is opened.

    Raises:
        OSError: The path cannot be looked at: no permission, a name that is too long, a link to itself.
    """
    try:
        return _SPECIAL.get(stat.S_IFMT(path.stat().st_mode), FileKind.FILE)
    except (FileNotFoundError, NotADirectoryError):
        return FileKind.DANGLING if path.is_symlink() else None


def require_regular(path: Path, refused: type[Ro32Error], advice: str = "name a file") -> None:
    """Refuse what is there and is no regular file: to open a pipe waits forever, to replace a device destroys it.

    A path where nothing stands passes. The advice tells what to do about another one.

    Raises:
        Ro32Error: `refused`: a device, pipe, socket, folder or link to nothing stands there, or it cannot be looked at.
        ReadWriteError: The disk failed.
    """
    try:
        found = kind_of(path)
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise ReadWriteError(f"{path}: cannot be looked at: {error.strerror}; run again") from error
        raise refused(f"{path}: cannot be looked at: {error.strerror}; {advice}") from error
    if found not in {None, FileKind.FILE}:
        raise refused(f"{path}: expected a file, found {found}; {advice}")


def identity_of(file: InputFile) -> Identity:
    """Return the identity of a file, which changes if the file is replaced.

    Device, inode, size and time of a file as it is now; the store's two marks, size and time of an object as it was
    when it was found, since nothing else of it is ever read.
    """
    if isinstance(file, Path):
        status = file.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    version = file.version
    return version.e_tag or "", version.generation or "", version.size, version.modified_ns


def is_unchanged(file: InputFile, identity: Identity) -> bool:
    """Return whether a file is still the one that `identity_of` described."""
    if not isinstance(file, Path):
        return file.is_unchanged()
    try:
        return identity_of(file) == identity
    except OSError:
        return False


@contextmanager
def changes_reported(file: InputFile) -> Iterator[None]:
    """Raise TryAgainError, and not that a file is damaged or missing, where it changed while the block read it."""
    identity = None
    with suppress(OSError):  # what reads it says what is wrong
        identity = identity_of(file)
    try:
        yield
    except (InputDataError, InputMissingError) as error:
        if identity is None or is_unchanged(file, identity):
            raise
        raise TryAgainError(f"{file} changed while it was read; run again when it is complete") from error


@contextmanager
def unchanged(files: Sequence[Path]) -> Iterator[None]:
    """Raise TryAgainError, and not what comes of it, where a file changed while the block read it more than once."""
    before: dict[Path, Identity] = {}
    for file in files:
        with suppress(OSError):  # what reads it says what is wrong
            before[file] = identity_of(file)
    try:
        yield
    finally:
        for file, identity in before.items():
            if not is_unchanged(file, identity):
                raise TryAgainError(f"{file} changed while it was read; run again when it is complete")


def content_mark_of(file: InputFile) -> str:
    """Return a fingerprint of a file's content, equal for copies of it.

    SHA-256 in hex of a Parquet file's footer, which says where each column's bytes are and what they hold, and of the
    first and last bytes of any other file; the store's two marks of an object.
    """
    if not isinstance(file, Path):
        return f"{file.version.e_tag} {file.version.generation}"
    digest = hashlib.sha256()
    with file.open("rb") as content:
        head, size = content.read(_END_BYTES), content.seek(0, io.SEEK_END)
        tail = _END_BYTES
        if head.startswith(_PARQUET) and size > _PARQUET_TAIL_BYTES:
            content.seek(size - _PARQUET_TAIL_BYTES)
            tail = int.from_bytes(content.read(4), "little") + _PARQUET_TAIL_BYTES
        else:
            digest.update(head)
        content.seek(size - min(tail, size))
        return hashlib.file_digest(content, lambda: digest).hexdigest()


def size_of(file: InputFile) -> int:
    """Return a file's bytes; raise OSError if it is not there."""
    return file.stat().st_size if isinstance(file, Path) else file.version.size


def for_arrow(file: InputFile) -> Path | io.RawIOBase | pa.NativeFile:
    """Return a reader for pyarrow that reads only the ranges it needs from a Parquet file.

    Raises:
        OSError: It is a device, pipe, socket or folder, which pyarrow would wait for.
    """
    if not isinstance(file, Path):
        return file.ranges()
    if kind_of(file) not in {None, FileKind.FILE}:
        raise OSError(errno.EINVAL, "Not a regular file", str(file))
    try:
        str(file).encode()
    except UnicodeEncodeError:  # a name that is no text in this locale: pyarrow takes it as bytes alone, and only here
        return pa.OSFile(os.fsencode(file))
    return file
