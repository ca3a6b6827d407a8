"""Digests of the stored bytes of Parquet row groups, so that unchanged ones are not decoded again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.footer import RawFile, check_columns, open_raw, read_metadata, start_of
from ro32.errors import InputDataError, check_interrupted
from ro32.storage.files import InputFile

_LEAST_ROWS = 1_000
"""Rows that a file's row groups have on average, or no digests are taken: they would be longer than the labels."""
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """Neighbouring rows of a file: how many, and the SHA-256 in hex of all that their values are decoded from.

    The digest is None if it is not known.
    """

    rows: int
    digest: str | None


def row_groups(path: InputFile, columns: Sequence[str]) -> list[RowGroup] | None:
    """Digest the stored bytes of some columns, row group by row group.

    Equal digests mean equal values: a digest covers the compressed pages with their headers, how the footer says to
    decode them, and the version of ro32.

    Returns:
        The row groups in order; None if the file is no Parquet, is damaged, or has very small row groups.
    """
    try:
        footer = read_metadata(path)
        if footer.num_row_groups * _LEAST_ROWS > footer.num_rows + _LEAST_ROWS:
            return None
        check_columns(path, footer, columns)
        with open_raw(path) as file:
            return [_digest(file, footer, group, columns) for group in range(footer.num_row_groups)]
    except (pa.ArrowException, OSError, UnicodeDecodeError, InputDataError):
        return None  # decoding says what is wrong


def _digest(file: RawFile, footer: pq.FileMetaData, group: int, columns: Sequence[str]) -> RowGroup:
    found, rows = footer.row_group(group), footer.row_group(group).num_rows
    chunks = {chunk.path_in_schema: (at, chunk) for at in range(found.num_columns) for chunk in [found.column(at)]}
    digest = hashlib.sha256(f"{version('ro32')} {rows}".encode())
    for name in columns:
        if name not in chunks:
            return RowGroup(rows=rows, digest=None)
        at, chunk = chunks[name]
        column = footer.schema.column(at)
        levels = column.max_definition_level, column.max_repetition_level
        types = column.physical_type, str(column.logical_type), column.converted_type, column.length
        digest.update(repr((types, levels, chunk.compression, chunk.num_values, chunk.total_compressed_size)).encode())
        file.seek(start_of(chunk))
        left = chunk.total_compressed_size
        while left and (block := file.read(min(left, _BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
            check_interrupted()
        if left:
            return RowGroup(rows=rows, digest=None)
    return RowGroup(rows=rows, digest=digest.hexdigest())
