"""Text in columns, with a head line that names them: CSV, and the same with tabs or semicolons, in bounded memory.

Fields may be quoted as in RFC 4180 and then hold delimiters, quotes and line ends, as the abstracts of arXiv do. Every
column is read as strings, since an id such as 0704.0010 is no number.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow.csv import ConvertOptions, CSVStreamingReader, ParseOptions, ReadOptions, open_csv

from ro32.errors import DISK_ERRNOS, InputDataError, ReadWriteError
from ro32.storage.files import InputFile, for_arrow

DELIMITERS = ",\t;"
_BLOCK_BYTES = 4 << 20
"""Read at once, and the most that one row may have: many times what a paper has."""
_HEAD_BYTES = 64 << 10
_ROWS_PER_BATCH = 2_048
_BOM = b"\xef\xbb\xbf"


def delimiter_of(head: bytes) -> str | None:
    """Return what separates the names in the first line of a text; None where that is no line of several names."""
    line, end, _ = head.removeprefix(_BOM).partition(b"\n")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    if not end or not all(letter.isprintable() or letter in "\t\r" for letter in text):
        return None
    found = max(DELIMITERS, key=text.count)
    return found if found in text else None


def read_schema(path: InputFile) -> tuple[pa.Schema, int]:
    """Return the columns, all of strings, and the number of rows.

    Raises:
        InputDataError: A row has more or fewer fields than the head line, or is no UTF-8.
        ReadWriteError: The disk failed.
    """
    names = _names(path)
    rows = sum(batch.num_rows for _, batch in read_batches(path, names))
    return pa.schema([(name, pa.string()) for name in names]), rows


def read_batches(path: InputFile, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield some columns in small batches, as strings.

    Args:
        path: The file.
        columns: Names of the columns, in the order of the batches' columns.

    Yields:
        The row at which a batch starts, and the batch.

    Raises:
        InputDataError: A row has more or fewer fields than the head line, or is no UTF-8.
        ReadWriteError: The disk failed.
    """
    row = 0
    try:
        reader = _open(path, columns)
        while reader is not None:
            try:
                block = reader.read_next_batch()
            except StopIteration:
                return
            for start in range(0, block.num_rows, _ROWS_PER_BATCH):
                batch = block.slice(start, _ROWS_PER_BATCH)
                yield row, batch
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise ReadWriteError(f"{path}: reading failed: {error.strerror}; run again") from error
        reason = " ".join(str(error).split())
        raise InputDataError(
            f"{path}, after row {row:,}: expected as many fields as the head line names: {reason}; mend the row"
        ) from error


def _open(path: InputFile, columns: Sequence[str]) -> CSVStreamingReader | None:
    """Open a file for reading; None where it has a head line and nothing else, which pyarrow takes for an error."""
    names, delimiter = _names(path), _delimiter(path)
    with path.open("rb") as file:
        head = file.readline() + file.read(1)
        if head.count(b"\n") == 1 and head.endswith(b"\n"):
            return None
    return open_csv(
        for_arrow(path) if isinstance(path, Path) else path.open("rb"),
        read_options=ReadOptions(block_size=_BLOCK_BYTES, use_threads=False, encoding="utf8"),
        parse_options=ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=list(columns),
            strings_can_be_null=False,
            check_utf8=True,
        ),
    )


def _head(path: InputFile) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _delimiter(path: InputFile) -> str:
    return delimiter_of(_head(path)) or DELIMITERS[0]


def _names(path: InputFile) -> list[str]:
    head = _head(path).removeprefix(_BOM)
    return next(csv.reader(io.StringIO(head.decode(errors="replace")), delimiter=delimiter_of(head) or DELIMITERS[0]))
