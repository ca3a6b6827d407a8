"""Compressed text, read as a stream: gzip, bzip2, Zstandard, or a zip archive of one file, recognized by content."""

import errno
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import pyarrow as pa

from ro32.data.parquet import unreadable
from ro32.errors import InputDataError, few, one_line
from ro32.storage.files import InputFile

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x50\x2a\x4d\x18": "Zstandard",  # pzstd writes the size of each frame before it, in a frame to be skipped
    b"PK\x03\x04": "zip",
}
"""First bytes of compressed files that are read."""
NOT_READ = {
    b"\xfd7zXZ\x00": ("xz", "xz -dc"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -dc"),
    b"\x1f\x9d": ("compress", "zcat"),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", "7z x -so"),
    b"Rar!": ("RAR", "unrar p -inul"),
}
"""First bytes of compressed files that are not read: what they are, and the command that prints their content."""
_READ_AHEAD_BYTES = 1 << 20
_NAMED = 3
"""Members of an archive that a message names."""
OFFICE = ("an office document", "save its table as CSV in UTF-8")
"""What spreadsheets are, and what to do."""
_OF_OFFICE = {"[Content_Types].xml", "mimetype"}
"""Members of zip archives that are such documents."""
_DEFLATE_AND_LIKE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}
_DAMAGED = (EOFError, ValueError, NotImplementedError, zlib.error, zipfile.BadZipFile, pa.ArrowException)
"""What is raised for damaged content. An OSError then has no number, or that of a seek to before the beginning."""


def compression_of(head: bytes) -> str | None:
    """Name the compression of a file by its first bytes; None if it has none that is read."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


@contextmanager
def open_text(path: InputFile) -> Iterator[BinaryIO]:
    """Open a file for reading from end to end, decompressed. Memory is bounded, whatever it expands to.

    Concatenated gzip members, bzip2 streams and Zstandard frames are one text. What goes wrong within the block is
    raised as an error of the file.

    Raises:
        InputMissingError: The file may not be read.
        InputDataError: Its compressed content is damaged or cut off, or the archive does not hold one readable file.
        ReadWriteError: The disk failed.
    """
    compression = None
    try:
        with path.open("rb") as raw:
            compression = compression_of(raw.read(8))
            raw.seek(0)
            with _decompressed(path, raw, compression) as text:
                yield text
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise unreadable(path, error) from error
        stream = f"{compression or 'text'} stream"
        raise InputDataError(
            f"{path}: its {stream} is damaged or cut off ({one_line(error)}); get the file again"
        ) from error


@contextmanager
def _decompressed(path: InputFile, raw: BinaryIO, compression: str | None) -> Iterator[BinaryIO]:
    match compression:
        case "gzip":
            with gzip.GzipFile(fileobj=raw) as text:
                yield cast("BinaryIO", text)
        case "bzip2" | "Zstandard":  # Python's BZ2File ends without a word where a second stream is damaged
            source = pa.OSFile(bytes(path)) if isinstance(path, Path) else pa.PythonFile(raw, "r")
            with source, pa.CompressedInputStream(source, "bz2" if compression == "bzip2" else "zstd") as stream:
                yield io.BufferedReader(stream, _READ_AHEAD_BYTES)
        case "zip":
            with zipfile.ZipFile(raw) as archive, archive.open(_only_member(path, archive)) as text:
                yield cast("BinaryIO", text)
        case _:
            yield raw


def _only_member(path: InputFile, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [item for item in archive.infolist() if not (item.is_dir() or _is_added(item.filename))]
    if len(members) != 1:
        if any(item.filename in _OF_OFFICE for item in members):
            raise InputDataError(f"{path}: is {'; '.join(OFFICE)}")
        names = few([repr(item.filename) for item in members], _NAMED)
        raise InputDataError(
            f"{path}: expected a zip archive of one file, found {len(members):,}{names and ': '}{names}; unpack it, "
            "and name the files of papers"
        )
    (member,) = members
    if member.flag_bits & 1 or member.compress_type not in _DEFLATE_AND_LIKE:
        kind = "encrypted" if member.flag_bits & 1 else f"compressed by method {member.compress_type}"
        raise InputDataError(f"{path}: {member.filename!r} in this zip archive is {kind}; unpack it first")
    return member


def _is_added(member: str) -> bool:
    """Return whether a member of a zip archive is one that its maker's system added."""
    return member.startswith("__MACOSX/") or PurePosixPath(member).name.startswith(".")
