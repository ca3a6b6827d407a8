"""Files of papers in any form: Parquet, JSON lines, or text in columns (CSV, TSV), told apart by content, not by name.

A Parquet file says in its footer what it holds. A text file does not, so it is decoded once from end to end when the
run is planned: its rows are counted, and its last line was read, before the first paper is scored.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import pyarrow as pa

from ro32.data import delimited, jsonlines, parquet
from ro32.data.delimited import delimiter_of
from ro32.errors import InputDataError
from ro32.storage.files import InputFile, size_of

_HEAD_BYTES = 64 << 10
"""Enough for the names of columns; no more of a file is looked at to recognize it."""
_BOM = b"\xef\xbb\xbf"


class Format(StrEnum):
    """What a file is."""

    PARQUET = "parquet"
    JSON_LINES = "jsonl"
    DELIMITED = "delimited"


def recognize(head: bytes) -> Format | None:
    """Tell a file's form by its first bytes; None where it has none of them."""
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if head.removeprefix(_BOM).lstrip().startswith(b"{"):
        return Format.JSON_LINES
    return Format.DELIMITED if delimiter_of(head) else None


def read_schema(path: InputFile, max_expansion: float = parquet.DEFAULT_MAX_EXPANSION) -> tuple[pa.Schema, int]:
    """Return a file's columns and the number of its rows.

    Args:
        path: The file.
        max_expansion: Uncompressed bytes that a Parquet file may announce for each byte it has.

    Raises:
        InputMissingError: The file does not exist or may not be read.
        InputDataError: It has none of the forms, or is damaged, or announces too many bytes.
        ReadWriteError: The disk failed.
    """
    match format_of(path):
        case Format.JSON_LINES:
            return jsonlines.read_schema(path)
        case Format.DELIMITED:
            return delimited.read_schema(path)
        case Format.PARQUET:
            return parquet.read_footer(path, max_expansion)
        case None:
            kind = "is none of Parquet, JSON lines and CSV, or is damaged" if size_of(path) else "is empty"
            raise InputDataError(f"{path}: {kind}; get the file again, or convert it")


def read_batches(path: InputFile, columns: Sequence[str], from_row: int = 0) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield some columns of a file in small batches, every value validated.

    Args:
        path: The file.
        columns: Names of the columns to read, in the order of the batches' columns.
        from_row: What lies before this row need not be read, where the form allows that.

    Yields:
        The row of the file at which a batch starts, and the batch.

    Raises:
        InputDataError: The file is damaged; says where.
        InputMissingError: It is not there any more.
        ReadWriteError: The disk failed half-way.
    """
    match format_of(path):
        case Format.JSON_LINES:
            yield from jsonlines.read_batches(path, columns)
        case Format.DELIMITED:
            yield from delimited.read_batches(path, columns)
        case _:
            yield from parquet.read_batches(path, columns, from_row)


def format_of(path: InputFile) -> Format | None:
    """Tell a file's form by its content; None where it has none that is known.

    Raises:
        InputMissingError: The file does not exist or may not be read.
        ReadWriteError: The disk failed.
    """
    try:
        with path.open("rb") as file:
            return recognize(file.read(_HEAD_BYTES))
    except OSError as error:
        raise parquet.unreadable(path, error) from error
