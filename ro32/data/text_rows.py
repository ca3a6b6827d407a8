"""Rows of a text file: lines with their numbers; unreadable rows keep their positions."""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from ro32.data.compressed import open_text
from ro32.data.footer import ALWAYS_ALLOWED_BYTES
from ro32.data.parquet import ERRORS_COLUMN
from ro32.errors import InputDataError
from ro32.model.outcomes import INVALID_UTF8, MALFORMED
from ro32.storage.files import InputFile, size_of
from ro32.storage.strict_json import LONE_SURROGATE

MAX_ROW_BYTES = 4 << 20
"""The most that one row may have, its end included: many times what a paper has."""
_ROWS_PER_BATCH = 2_048
"""As of Parquet: what a part is cut from."""
_BYTES_PER_BATCH = 16 << 20
_NAMED = 3
"""Rows that a message names of those that cannot be read."""


class Row(NamedTuple):
    """A row of a text file.

    Attributes:
        line: Number of its first line in the file, from 1.
        size: Bytes that it has in the file.
        values: What its columns hold, null if it lacks one: strings, once the row is read.
        error: INVALID_UTF8 or MALFORMED where the row cannot be read, and null if it can.
        reason: What is wrong then, in words.
    """

    line: int
    size: int
    values: Sequence[Any]
    error: str | None = None
    reason: str = ""


def read_lines(path: InputFile, max_expansion: float | None = None) -> Iterator[bytes]:
    """Yield the lines of a file, decompressed, each with its end, without a byte order mark.

    Args:
        path: The file.
        max_expansion: Decompressed bytes that are allowed for each byte that the file has; none where all are.

    Raises:
        InputMissingError: The file may not be read.
        InputDataError: A line is longer than a row may be, or the file expands to too much, or is damaged.
        ReadWriteError: The disk failed.
    """
    total = number = 0
    with open_text(path) as file:
        allowed = None if max_expansion is None else max(max_expansion * size_of(path), ALWAYS_ALLOWED_BYTES)
        while line := file.readline(MAX_ROW_BYTES + 1):
            number += 1
            total += len(line)
            if len(line) > MAX_ROW_BYTES:
                raise InputDataError(
                    f"{path}, line {number:,}: longer than {MAX_ROW_BYTES >> 20} MiB; correct or remove it"
                )
            if allowed is not None and total > allowed:
                raise InputDataError(
                    f"{path}, line {number:,}: {size_of(path):,} bytes expand to more than {max_expansion:g} times as "
                    "many; if you trust the file, raise --max-expansion"
                )
            yield line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def decode(line: bytes) -> tuple[str, bool]:
    """Return a line as text, and whether it is UTF-8; bytes that are not become lone surrogates."""
    try:
        return line.decode(), True
    except UnicodeDecodeError:
        return line.decode(errors="surrogateescape"), False


def without_surrogates(row: Row) -> Row:
    """Return a row whose texts can be encoded: those that cannot are null, and the row has an error."""
    kept = [None if value is None or LONE_SURROGATE.search(value) else value for value in row.values]
    if kept == list(row.values):
        return row
    return row._replace(values=kept, error=row.error or INVALID_UTF8, reason=row.reason or "not UTF-8")


def malformed(line: int, size: int, columns: int, reason: str) -> Row:
    """Return a row of which nothing can be read."""
    return Row(line, size, [None] * columns, MALFORMED, reason)


def to_batches(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Put rows into batches of bounded size.

    Yields:
        The row at which a batch starts, and the batch: the columns, as strings, and `ERRORS_COLUMN` behind them where a
        row of the batch cannot be read.
    """
    start, held, size = 0, list[Row](), 0
    for row in rows:
        held.append(row)
        size += row.size
        if len(held) == _ROWS_PER_BATCH or size >= _BYTES_PER_BATCH:
            yield start, _batch(held, columns)
            start, held, size = start + len(held), [], 0
    if held:
        yield start, _batch(held, columns)


def count(path: InputFile, rows: Iterable[Row]) -> tuple[int, str]:
    """Count a file's rows; return their number, and which cannot be read, in a sentence that is empty if all can."""
    number = unreadable = 0
    examples, advice = list[str](), ""
    for row in rows:
        number += 1
        if row.error is not None:
            unreadable += 1
            if len(examples) < _NAMED:
                examples.append(f"line {row.line:,}: {row.reason}")
            if row.error == INVALID_UTF8:
                advice = "; a Latin-1 file becomes UTF-8 by: iconv -f latin1 -t utf-8"
    if not unreadable:
        return number, ""
    named = "; ".join(examples) + ("; ..." if unreadable > _NAMED else "")
    return number, f"{path}: {unreadable:,} {'row' if unreadable == 1 else 'rows'} cannot be read ({named}){advice}"


def _batch(rows: Sequence[Row], columns: Sequence[str]) -> pa.RecordBatch:
    arrays = [pa.array(values, pa.string()) for values in zip(*(row.values for row in rows), strict=True)]
    names = list(columns)
    if any(row.error is not None for row in rows):
        arrays.append(pa.array([row.error for row in rows], pa.string()))
        names.append(ERRORS_COLUMN)
    return pa.RecordBatch.from_arrays(arrays, names=names)
