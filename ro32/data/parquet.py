"""Reads Parquet in bounded memory, with every byte checked.

pyarrow checks and decodes: it verifies page checksums and survives malformed files that abort other readers.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ro32.data import pages, utf8
from ro32.data.footer import RawFile, check_expansion, check_places, check_rows, open_raw, read_metadata
from ro32.errors import DISK_ERRNOS, InputDataError, InputMissingError, ReadWriteError, Ro32Error, one_line
from ro32.model.outcomes import INVALID_UTF8
from ro32.storage.files import InputFile, size_of

DEFAULT_MAX_EXPANSION = 100.0
"""Uncompressed bytes that a file may announce for each byte it has. Dumps of arXiv, compressed with zstd, have 3.5."""

ERRORS_COLUMN = "ro32: error"
"""Name of an additional last column of a batch, of strings: why a row cannot be read (one of `REASONS`), or null. Only
batches with such a row have it."""

_READ_BUFFER_BYTES = 1 << 20
_REQUEST_BYTES = 8 << 20
"""Of one column at once, where each read is a request and waits for its answer."""
_DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError, pages.Damaged)
"""What is raised for unreadable content, also a column's name. An OSError of the system has a number."""


def read_footer(path: InputFile, max_expansion: float = DEFAULT_MAX_EXPANSION) -> tuple[pa.Schema, int]:
    """Return a file's schema, bytes counted as strings, and the number of rows that its footer announces.

    It may announce `max_expansion` uncompressed bytes for each it has, as a whole and in each column of a row group.

    Raises:
        InputMissingError: The file does not exist or may not be read.
        InputDataError: It is not Parquet, or encrypted, or damaged, or announces too many bytes.
        ReadWriteError: The disk failed.
    """
    try:
        footer = read_metadata(path)
        check_rows(footer)
        check_expansion(path, footer, max_expansion)
        check_places(path, footer)
        schema = footer.schema.to_arrow_schema()
        return pa.schema([field.with_type(utf8.as_text(field.type)) for field in schema]), footer.num_rows
    except MemoryError as error:
        raise _out_of_memory(f"{path}") from error
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from error
        kind = f"is not a Parquet file, or is damaged or cut off ({one_line(error)})" if size_of(path) else "is empty"
        raise InputDataError(f"{path}: {kind}; get the file again") from error


def unreadable(path: InputFile, error: OSError) -> Ro32Error:
    """Return the error for an input file that the operating system refuses to open or read."""
    if error.errno in DISK_ERRNOS:
        return ReadWriteError(f"{path}: reading failed: {error.strerror}; run again")
    return InputMissingError(f"{path}: cannot be read: {error.strerror}; check the path and its permissions")


def read_batches(path: InputFile, columns: Sequence[str], from_row: int = 0) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield some columns of a file in small batches, every value validated, each with the row at which it starts.

    Row groups that end before `from_row` are skipped. Strings and bytes that are not UTF-8 become null, and a last
    column, `ERRORS_COLUMN`, marks them. They are dictionary arrays if they would otherwise take too much memory.

    Raises:
        InputDataError: A checksum does not match, a value is damaged, or a page is too large; says where.
        ReadWriteError: The file vanished, the disk failed half-way, or there is too little memory.
    """
    where, row = f"{path}", 0
    try:
        footer = read_metadata(path, hide_schema=True)
        with open_raw(path) as raw, pa.OSFile(bytes(path), "r") if isinstance(path, Path) else path.ranges() as source:
            groups = _Groups(path=path, raw=raw, source=source, footer=footer, columns=columns)
            for group in range(footer.num_row_groups):
                rows = footer.row_group(group).num_rows
                if row + rows <= from_row:
                    row += rows
                    continue
                where = f"{path}, row group {group}, rows from {row:,}"
                for batch in groups.batches(group):
                    yield row, _checked(batch, columns)
                    row += batch.num_rows
                    where = f"{path}, row group {group}, rows from {row:,}"
    except MemoryError as error:
        raise _out_of_memory(where) from error
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ReadWriteError(f"{where}: reading failed: {error.strerror}; run again") from error
        raise InputDataError(f"{where}: damaged: {one_line(error)}; get the file again") from error


def is_null(path: InputFile, column: str) -> bool:
    """Return whether a column holds nulls alone; raise what `read_batches` does."""
    # Not by the statistics of the footer: where they are damaged, pyarrow 26 ends the process.
    return all(batch.column(0).null_count == len(batch) for _, batch in read_batches(path, [column]))


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """The row groups of a file that is open for Python (`raw`) and for pyarrow (`source`)."""

    path: InputFile
    raw: RawFile
    source: pa.NativeFile | io.RawIOBase
    footer: pq.FileMetaData
    columns: Sequence[str]

    def batches(self, group: int) -> Iterator[pa.RecordBatch]:
        """Decode a row group, as many rows at once as fit; raise InputDataError if not even one does."""
        local = isinstance(self.path, Path)
        chunks = pages.look_at(self.raw, self.footer.row_group(group), self.columns, trusting=not local)
        rows, encoded = pages.choose(chunks, lambda chunk: self._longest(group, chunk))
        if rows == 0:
            largest = max(chunks, key=lambda chunk: chunk.bytes_of(1))
            raise InputDataError(
                f"{self.path}, row group {group}, column {largest.path}: its pages are too large for bounded memory: "
                f"they take {largest.bytes_of(1):,} bytes or more at once, and {pages.MAX_BYTES:,} are allowed for all "
                "columns; write the file with smaller pages, such as row groups of 100 rows"
            )
        buffer_size = _READ_BUFFER_BYTES if local else _REQUEST_BYTES
        return self._decode(group, self.columns, rows, encoded, buffer_size)

    def _longest(self, group: int, chunk: pages.Chunk) -> int:
        """Return the length in bytes of the longest value of a dictionary."""
        batch = next(self._decode(group, [chunk.path], 1, [chunk.path], pages.HEADER_BYTES), None)
        if batch is None or not pa.types.is_dictionary(batch.column(0).type):
            return chunk.longest
        return pc.max(pc.binary_length(batch.column(0).dictionary)).as_py() or 0

    def _decode(
        self, group: int, columns: Sequence[str], rows: int, encoded: Sequence[str], buffer_size: int
    ) -> Iterator[pa.RecordBatch]:
        file = pq.ParquetFile(
            self.source,
            metadata=self.footer,
            read_dictionary=list(encoded),
            page_checksum_verification=True,
            pre_buffer=False,
            buffer_size=buffer_size,
        )
        # One thread: another that waits for a store takes no signal, and one that runs Python may outlive it.
        yield from file.iter_batches(batch_size=rows, row_groups=[group], columns=list(columns), use_threads=False)


def _checked(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Return a batch with all its values validated, and columns in the order of some names."""
    for name in names:  # a file holds its schema twice, and was checked by the other one
        if (found := batch.schema.names.count(name)) != 1:
            raise pa.ArrowInvalid(f"it has {found or 'no'} columns called {name}")
    checked = [utf8.check(batch.column(name)) for name in names]
    columns, bad = [column for column, _ in checked], np.logical_or.reduce([bad for _, bad in checked])
    if not bad.any():
        return pa.record_batch(columns, names=list(names))
    errors = pa.array([INVALID_UTF8 if row else None for row in bad.tolist()], pa.string())
    return pa.record_batch([*columns, errors], names=[*names, ERRORS_COLUMN])


def _out_of_memory(where: str) -> ReadWriteError:
    return ReadWriteError(
        f"{where}: there is too little memory; raise the limit of the process (ulimit -v, the container's limit), "
        "or use fewer --threads"
    )
