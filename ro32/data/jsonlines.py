"""JSON lines in, one object a line, in bounded memory: the form of Kaggle's snapshot of arXiv."""

from collections.abc import Iterator, Sequence

import polars as pl
import pyarrow as pa

from ro32.data.parquet import unreadable
from ro32.errors import InputDataError
from ro32.storage import strict_json
from ro32.storage.files import InputFile

_BYTES_PER_BLOCK = 16 << 20
"""Decoded at once."""
_MAX_LINE_BYTES = 4 << 20
"""The most that one line may have, its end included: as of a row of CSV, many times what a paper has."""
_ROWS_PER_BATCH = 2_048
"""As of Parquet: what a part is cut from."""
_BOM = b"\xef\xbb\xbf"


def read_schema(path: InputFile) -> tuple[pa.Schema, int]:
    """Return the columns that the first object has, all of strings, and the number of objects.

    Raises:
        InputMissingError: The file may not be read.
        InputDataError: A line is no JSON object, or longer than one may be.
        ReadWriteError: The disk failed.
    """
    names: list[str] = []
    for _, lines in _blocks(path):
        first = next((line for line in lines if line.strip()), None)
        if first is not None:
            try:
                names = list(strict_json.parse(first))
            except ValueError as error:
                raise _damaged(path, 1, len(lines), error) from error
            break
    if not names:
        raise InputDataError(f"{path}: expected one JSON object a line, found none with a field; get the file again")
    rows = sum(batch.num_rows for _, batch in read_batches(path, names[:1]))
    return pa.schema([(name, pa.string()) for name in names]), rows


def read_batches(path: InputFile, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield some fields of the objects, as strings: null where an object lacks one.

    Args:
        path: The file.
        columns: Names of the fields.

    Yields:
        The row at which a batch starts, and the batch.

    Raises:
        InputMissingError: The file may not be read.
        InputDataError: A line is no JSON object, or longer than one may be; says which, or among which lines.
        ReadWriteError: The disk failed.
    """
    schema = {name: pl.String() for name in columns}
    strings = pa.schema([(name, pa.string()) for name in columns])
    row = 0
    for first_line, lines in _blocks(path):
        try:
            frame = pl.read_ndjson(b"".join(lines), schema=schema)
        except pl.exceptions.PolarsError as error:
            raise _damaged(path, first_line, len(lines), error) from error
        for part in frame.select(columns).iter_slices(_ROWS_PER_BATCH):
            for batch in part.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(strings).to_batches():
                yield row, batch
                row += batch.num_rows


def _blocks(path: InputFile) -> Iterator[tuple[int, list[bytes]]]:
    """Yield some thousand lines at a time, with the number of the first; none is read further than it may be long."""
    first, lines, size = 1, list[bytes](), 0
    try:
        with path.open("rb") as file:
            while line := file.readline(_MAX_LINE_BYTES + 1):
                if len(line) > _MAX_LINE_BYTES:
                    raise InputDataError(
                        f"{path}, line {first + len(lines):,}: longer than {_MAX_LINE_BYTES >> 20} MiB, which no paper "
                        "is; mend the line, or remove it"
                    )
                lines.append(line if lines or first > 1 else line.removeprefix(_BOM))
                size += len(line)
                if size >= _BYTES_PER_BLOCK:
                    yield first, lines
                    first, lines, size = first + len(lines), [], 0
            if lines:
                yield first, lines
    except OSError as error:
        raise unreadable(path, error) from error


def _damaged(path: InputFile, first: int, count: int, error: Exception) -> InputDataError:
    where = f"lines {first} to {first + count - 1}"
    return InputDataError(f"{path}, {where}: expected one JSON object a line: {' '.join(str(error).split())}")
