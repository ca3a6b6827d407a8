"""Files of papers in any form: Parquet, JSON lines, or text in columns (CSV, TSV). The content decides, not the name.

A Parquet file says in its footer what it holds. A text file does not, so it is decoded once from end to end when the
run is planned: its rows are counted, and its last line was read, before the first paper is scored. Texts may be
compressed.
"""

import codecs
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from ro32.data import delimited, jsonlines, parquet
from ro32.data.compressed import compression_of, open_text
from ro32.data.foreign import name_foreign
from ro32.data.text_rows import Row, count, to_batches
from ro32.errors import InputDataError
from ro32.storage.files import InputFile

_HEAD_BYTES = 64 << 10
"""Enough for the names of columns; no more of a file is looked at to recognize it."""


class Format(StrEnum):
    """What a file is."""

    PARQUET = "parquet"
    JSON_LINES = "jsonl"
    DELIMITED = "delimited"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a file holds.

    Attributes:
        schema: Its columns.
        rows: How many rows it has, those that cannot be read included.
        faults: Which rows of a text cannot be read, in a sentence; empty if all can. Of Parquet that shows only when
            values are decoded.
    """

    schema: pa.Schema
    rows: int
    faults: str


def recognize(head: bytes) -> Format | None:
    """Tell a file's form by its first bytes; None if it has none of them."""
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"{") and not text.startswith(b"{\x00"):  # which is UTF-16 without a mark
        return Format.JSON_LINES
    marked_up = text.startswith((b"<", b"["))  # HTML, or a JSON array, may have a comma in its first line
    return Format.DELIMITED if delimited.delimiter_of(head) and not marked_up else None


def survey(
    path: InputFile, max_expansion: float = parquet.DEFAULT_MAX_EXPANSION, columns: Sequence[str] | None = None
) -> Contents:
    """Find out what a file holds.

    Args:
        path: The file.
        max_expansion: Uncompressed bytes that Parquet may announce, or a compressed text hold, for each byte it has.
        columns: Names of the columns that will be read; all where none are named.

    Raises:
        InputMissingError: The file does not exist or may not be read.
        InputDataError: It has none of the forms, or is damaged, or announces too many bytes.
        ReadWriteError: The disk failed.
    """
    head, compression = _head(path)
    match recognize(head):
        case Format.PARQUET if compression:
            raise InputDataError(f"{path}: Parquet within {compression} is not supported; decompress it first")
        case Format.PARQUET:
            schema, rows = parquet.read_footer(path, max_expansion)
            return Contents(schema=schema, rows=rows, faults="")
        case Format.JSON_LINES as form:
            names = jsonlines.read_names(path)
        case Format.DELIMITED as form:
            names, _ = delimited.read_head(path)
        case None:
            unknown = "is not Parquet, JSON lines or CSV, or is damaged" if head else "is empty"
            fault = name_foreign(head) or f"{unknown}; get the file again, or convert it"
            raise InputDataError(f"{path}: {fault}")
    wanted = [name for name in names if columns is None or name in columns]
    rows, faults = count(path, _text_rows(form, path, wanted, (), max_expansion if compression else None))
    return Contents(schema=pa.schema([(name, pa.string()) for name in names]), rows=rows, faults=faults)


def read_batches(
    path: InputFile, columns: Sequence[str], from_row: int = 0, lists: Collection[str] = ()
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield some columns of a file in small batches, every value validated.

    Args:
        path: The file.
        columns: Names of the columns to read, in the order of the batches' columns.
        from_row: What lies before this row need not be read, where the form allows that.
        lists: Columns that may hold lists of strings in JSON too, whose items are joined by spaces.

    Yields:
        The row of the file at which a batch starts, and the batch. Where some of its rows cannot be read, a last column
        says why: `ERRORS_COLUMN`.

    Raises:
        InputDataError: The file is damaged; says where.
        InputMissingError: It is not there any more.
        ReadWriteError: The disk failed half-way.
    """
    match format_of(path):
        case Format.JSON_LINES | Format.DELIMITED as form:
            yield from to_batches(_text_rows(form, path, columns, lists), columns)
        case _:
            yield from parquet.read_batches(path, columns, from_row)


def format_of(path: InputFile) -> Format | None:
    """Tell a file's form by its content; None if it has none that is known. Raise what `survey` does of its head."""
    return recognize(_head(path)[0])


def _text_rows(
    form: Format, path: InputFile, columns: Sequence[str], lists: Collection[str], max_expansion: float | None = None
) -> Iterator[Row]:
    if form is Format.JSON_LINES:
        return jsonlines.read_rows(path, columns, lists, max_expansion)
    return delimited.read_rows(path, columns, max_expansion)


def _head(path: InputFile) -> tuple[bytes, str | None]:
    """Return the first bytes of a file, decompressed, and how it is compressed."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise parquet.unreadable(path, error) from error
    compression = compression_of(head)
    if compression is None:
        return head, None
    with open_text(path) as text:
        return text.read(_HEAD_BYTES), compression
