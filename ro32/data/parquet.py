"""Parquet in, checked to the last byte, in bounded memory.

pyarrow opens, checks and decodes: it verifies page checksums and survives malformed files that abort other readers.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.errors import DISK_ERRNOS, InputDataError, InputMissingError, ReadWriteError, Ro32Error
from ro32.storage.files import InputFile, for_arrow, size_of

DEFAULT_MAX_EXPANSION = 100.0
"""Uncompressed bytes that a file may announce for each byte it has. Dumps of arXiv, compressed with zstd, have 3.5."""
ALWAYS_ALLOWED_BYTES = 64 << 20
"""Uncompressed bytes that are never too many: a small file may well hold the same value thousands of times."""

ERRORS_COLUMN = "ro32: error"
"""Name of an additional last column of a batch, of strings: why a row cannot be read (one of `REASONS`), or null. Only
batches with such a row have it."""

_READ_ROWS = 2_048
"""Rows decoded at once: what bounds memory when a file is one huge row group."""
_READ_BUFFER_BYTES = 1 << 20
_REQUEST_BYTES = 8 << 20
"""Of one column at once, where each read is a request and waits for its answer."""
_DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises for unreadable content, the last for a column's name. An OSError of the system has a number."""


def read_footer(path: InputFile, max_expansion: float = DEFAULT_MAX_EXPANSION) -> tuple[pa.Schema, int]:
    """Return a file's schema and the number of rows that its footer announces.

    Args:
        path: The file.
        max_expansion: Uncompressed bytes that it may announce for each byte it has, as a whole and in each column of
            each row group.

    Raises:
        InputMissingError: The file does not exist or may not be read.
        InputDataError: It is not Parquet, or damaged, or announces too many bytes.
        ReadWriteError: The disk failed.
    """
    empty = False
    try:
        with path.open("rb") as raw:
            empty = not raw.read(1)
        with _open(path) as file:
            footer = file.metadata
            groups = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
            if min(groups, default=0) < 0 or sum(groups) != footer.num_rows:  # pyarrow believes the one or the other
                raise pa.ArrowInvalid(f"announces {footer.num_rows} rows, but {sum(groups)} in its row groups")
            _check_columns(path, footer)
            _check_expansion(path, footer, max_expansion)
            _check_places(path, footer)
            return file.schema_arrow, footer.num_rows
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from error
        kind = "is empty" if empty else f"is not a Parquet file, or is damaged or cut off ({_one_line(error)})"
        raise InputDataError(f"{path}: {kind}; get the file again") from error


def unreadable(path: InputFile, error: OSError) -> Ro32Error:
    """Return what to raise when the operating system refuses to open or read an input file."""
    if error.errno in DISK_ERRNOS:
        return ReadWriteError(f"{path}: reading failed: {error.strerror}; run again")
    return InputMissingError(f"{path}: cannot be read: {error.strerror}; check the path and its permissions")


class _NothingReadError(Exception):
    """Ends a read before its first byte."""


class _NoBytes(io.RawIOBase):
    """Stands for a file of some size, of which no byte is to be read."""

    def __init__(self, size: int) -> None:
        self._size = self._at = size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, _size: int = -1, /) -> NoReturn:
        raise _NothingReadError


def _check_columns(path: InputFile, footer: pq.FileMetaData) -> None:
    """Let pyarrow look at what the footer says of each column, in a way that it survives.

    Asked for a column's metadata directly, pyarrow 26 ends the process if they contradict themselves ("terminate called
    after throwing an instance of 'parquet::ParquetException'"). Where it is about to decode, it raises instead.

    Raises:
        OSError: They do.
    """
    file = pq.ParquetFile(_NoBytes(size_of(path)), metadata=footer)
    try:
        for group in range(footer.num_row_groups):
            with suppress(_NothingReadError):
                next(file.iter_batches(batch_size=1, row_groups=[group], use_threads=False), None)
    finally:
        # The reader keeps the error, which keeps this frame: a ring that no garbage collector sees, 20 kB a file.
        del file


def _check_expansion(path: InputFile, footer: pq.FileMetaData, limit: float) -> None:
    """Refuse, before anything is decoded, a file that would become far larger than it is.

    Every column counts, read or not, and each on its own too: else a large file could hide a small bomb.
    """
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


def _check_places(path: InputFile, footer: pq.FileMetaData) -> None:
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
            start = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
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


def read_batches(path: InputFile, columns: Sequence[str], from_row: int = 0) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield some columns of a file in small batches, every value validated.

    Args:
        path: The file.
        columns: Names of the columns to read, in the order of the batches' columns.
        from_row: Row groups that end before this row are passed over.

    Yields:
        The row of the file at which a batch starts, and the batch.

    Raises:
        InputDataError: A checksum does not match or a value is invalid; says in which row group and column.
        ReadWriteError: The file vanished or the disk failed half-way.
    """
    where = f"{path}"
    try:
        with _open(path) as file:
            row = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if row + rows <= from_row:
                    row += rows
                    continue
                where = f"{path}, row group {group}"
                batches = file.iter_batches(
                    batch_size=_READ_ROWS,
                    row_groups=[group],
                    columns=list(columns),
                    use_threads=isinstance(path, Path),  # a thread of pyarrow's that waits for a store takes no signal
                )
                for batch in batches:
                    for name in columns:
                        if name not in batch.schema.names:  # the schema is told twice in a file
                            raise pa.ArrowInvalid(f"it has no column {name}")
                        where = f"{path}, row group {group}, column {name}"
                        batch.column(name).validate(full=True)
                    where = f"{path}, row group {group}"
                    yield row, batch.select(list(columns))
                    row += batch.num_rows
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ReadWriteError(f"{where}: reading failed: {error.strerror}; run again") from error
        raise InputDataError(f"{where}: damaged: {_one_line(error)}; get the file again") from error


def _open(path: InputFile) -> pq.ParquetFile:
    return pq.ParquetFile(
        for_arrow(path),
        page_checksum_verification=True,
        pre_buffer=False,
        buffer_size=_READ_BUFFER_BYTES if isinstance(path, Path) else _REQUEST_BYTES,
        memory_map=False,
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
