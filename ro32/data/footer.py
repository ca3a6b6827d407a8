"""The footer of a Parquet file, read and checked before anything that it announces is decoded."""

import io
from collections.abc import Collection
from contextlib import suppress
from itertools import pairwise, product
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.errors import InputDataError
from ro32.storage.files import InputFile, size_of
from ro32.storage.positioned import Positioned

ALWAYS_ALLOWED_BYTES = 64 << 20
"""Uncompressed bytes that are never too many: a small file may well hold the same value thousands of times."""
MAX_FOOTER_BYTES = 32 << 20
"""Half a million columns of row groups, which take a thousand bytes each when the footer is parsed."""
MAX_ROWS = 2**31 - 1
"""A column without values takes no bytes, however many rows it has, but each part of the plan does."""
MARK, ENCRYPTED_MARK = b"PAR1", b"PARE"
"""At both ends of a file; the second where the footer is encrypted."""
_TAIL_BYTES = 64 << 10
_LOOK_BYTES = 1 << 10
"""Buffer of a reader that reads nothing."""
_STORED_SCHEMA, _HIDDEN_SCHEMA = b"ARROW:schema", b"-----:schema"

RawFile = io.BufferedReader | io.RawIOBase


def open_raw(path: InputFile) -> RawFile:
    """Open a file for reading here and there."""
    return path.open("rb") if isinstance(path, Path) else path.ranges()


def start_of(chunk: pq.ColumnChunkMetaData) -> int:
    """Return the place of the first page of a column of a row group."""
    first: int = chunk.data_page_offset
    dictionary = chunk.dictionary_page_offset if chunk.has_dictionary_page else 0
    return dictionary if 0 < dictionary < first else first


def read_metadata(path: InputFile, *, hide_schema: bool = False) -> pq.FileMetaData:
    """Read and parse a footer, and see that what it says of each column does not contradict itself.

    With `hide_schema`, pyarrow decodes by Parquet's own types. By the Arrow schema that most writers store besides, it
    may decode to a dictionary what is not stored as one, and then keeps, and copies for each batch, all values of a row
    group.

    Raises:
        InputDataError: The file is encrypted, or its footer too long.
        pyarrow.ArrowException: It is no Parquet, or damaged.
        OSError: It cannot be read.
    """
    footer = _footer(path)
    if hide_schema:
        footer = footer.replace(_STORED_SCHEMA, _HIDDEN_SCHEMA)
    whole = b"".join([MARK, footer, len(footer).to_bytes(4, "little"), MARK])
    metadata = pq.read_metadata(pa.BufferReader(whole))
    try:
        check_columns(path, metadata)
    except (pa.ArrowException, OSError) as error:
        if "crypt" in str(error):
            raise InputDataError(_encrypted(path)) from error
        raise
    return metadata


def _encrypted(path: InputFile) -> str:
    return f"{path}: is an encrypted Parquet file, for which ro32 takes no keys; write it again without encryption"


def _footer(path: InputFile) -> bytes:
    size = size_of(path)
    with open_raw(path) as file:
        tail = _read(file, max(size - _TAIL_BYTES, 0), size)
        if tail.endswith(ENCRYPTED_MARK):
            raise InputDataError(_encrypted(path))
        if len(tail) < 12 or not tail.endswith(MARK):  # noqa: PLR2004 - the mark twice, and the footer's length
            raise pa.ArrowInvalid("no Parquet magic bytes at its end")
        length = int.from_bytes(tail[-8:-4], "little")
        if length + 12 > size:
            raise pa.ArrowInvalid(f"announces a footer of {length:,} bytes, but has {size:,}")
        if length > MAX_FOOTER_BYTES:
            raise InputDataError(
                f"{path}: its footer has {length:,} bytes, more than {MAX_FOOTER_BYTES:,}; write it again with fewer "
                "columns, or row groups of more rows"
            )
        if length + 8 > len(tail):
            tail = _read(file, size - 8 - length, size - len(tail)) + tail
    return tail[-8 - length : -8]


def _read(file: RawFile, start: int, end: int) -> bytes:
    file.seek(start)
    data = file.read(end - start) or b""
    if len(data) < end - start:
        raise pa.ArrowInvalid("it ends before it should")
    return data


class _NothingReadError(Exception):
    """Ends a read before its first byte."""


class _NoBytes(Positioned):
    """Stands for a file of some size, of which no byte is to be read."""

    def read(self, _size: int = -1, /) -> NoReturn:
        raise _NothingReadError


def check_columns(path: InputFile, footer: pq.FileMetaData, read: Collection[str] = ()) -> None:
    """Let pyarrow look at what the footer says of each column, in a way that it survives.

    Asked for a column's metadata directly, pyarrow 26 ends the process if they contradict themselves ("terminate called
    after throwing an instance of 'parquet::ParquetException'"). Where it is about to decode, it raises OSError instead.

    Args:
        path: The file, of which no byte is read.
        footer: What its end says.
        read: Names of the columns to be read. Given any, only these are looked at, and their codecs too; a column that
            nobody decodes may have any codec.

    Raises:
        pyarrow.ArrowException: The metadata of a column are damaged.
        OSError: The same.
    """
    for group in range(footer.num_row_groups):
        if (found := footer.row_group(group).num_columns) != footer.num_columns:
            raise pa.ArrowInvalid(f"row group {group} has {found} columns, but the schema {footer.num_columns}")
    # With pre_buffer a thread of Arrow's reads. It may still hold the file, an object of Python's, when the interpreter
    # ends, and then the process ends by SIGABRT ("terminate called without an active exception"). With a buffer Arrow
    # looks at the codec before it reads, without one afterwards.
    buffer_size = _LOOK_BYTES if read else 0
    file = pq.ParquetFile(_NoBytes(size_of(path)), metadata=footer, pre_buffer=False, buffer_size=buffer_size)
    # One by one: without pre_buffer it looks at a column after it has read the one before.
    columns = read or [footer.schema.column(index).path for index in range(footer.num_columns)]
    try:
        for group, column in product(range(footer.num_row_groups), columns):
            with suppress(_NothingReadError):
                next(file.iter_batches(batch_size=1, row_groups=[group], columns=[column], use_threads=False), None)
    finally:
        # The reader keeps the error, which keeps this frame: a ring that no garbage collector sees, 20 kB a file.
        del file


def check_rows(footer: pq.FileMetaData) -> None:
    """Refuse row groups whose rows do not add up to those of the file: pyarrow uses either number."""
    groups = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    if min(groups, default=0) < 0 or sum(groups) != footer.num_rows:
        raise pa.ArrowInvalid(f"announces {footer.num_rows} rows, but {sum(groups)} in its row groups")


def check_expansion(path: InputFile, footer: pq.FileMetaData, limit: float) -> None:
    """Refuse, before anything is decoded, a file that announces more uncompressed bytes than `limit` for each it has.

    Every column counts, read or not, and each on its own too: else a large file could hide a small bomb.
    """
    if footer.num_rows > MAX_ROWS:
        raise InputDataError(f"{path}: announces {footer.num_rows:,} rows, more than {MAX_ROWS:,}; split the file")
    size, total = size_of(path), 0
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            chunk = footer.row_group(group).column(index)
            announced = chunk.total_uncompressed_size
            total += announced
            where = f"{path}, row group {group}, column {chunk.path_in_schema}"
            if announced < 0:
                raise InputDataError(f"{where}: damaged: it announces {announced} bytes; get the file again")
            _allow(where, announced, min(chunk.total_compressed_size, size), limit)
    _allow(f"{path}", total, size, limit)


def check_places(path: InputFile, footer: pq.FileMetaData) -> None:
    """Refuse a file in which two columns, or two row groups, claim the same bytes.

    Pages have checksums and the footer has none: after one flipped bit it may name the pages of another column, whose
    checksums match.
    """
    chunks = []
    for group in range(footer.num_row_groups):
        if footer.row_group(group).num_rows == 0:  # pyarrow gives it an offset of 0, where others are
            continue
        for index in range(footer.num_columns):
            chunk = footer.row_group(group).column(index)
            start = start_of(chunk)
            chunks.append((start, start + chunk.total_compressed_size, group, chunk.path_in_schema))
    chunks.sort()
    for (_, end, group, name), (start, _, other_group, other) in pairwise(chunks):
        if start < end:
            raise InputDataError(
                f"{path}, row group {group}, column {name}: damaged: the footer gives bytes of it to column {other} of "
                f"row group {other_group} too; get the file again"
            )


def _allow(where: str, announced: int, stored: int, limit: float) -> None:
    if announced > max(limit * stored, ALWAYS_ALLOWED_BYTES):
        raise InputDataError(
            f"{where}: {stored:,} bytes announce {announced:,} uncompressed ones, more than {limit:g} times as many; "
            "nothing was decoded; if you trust the file, raise --max-expansion"
        )
