"""The input contract: which columns, what a paper is, and how parts are read.

Only the three needed columns are ever read; Polars normalizes the text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ro32.data import sources
from ro32.data.parquet import ERRORS_COLUMN
from ro32.errors import InputDataError, UsageError, nearest
from ro32.model.outcomes import REASONS, Hashes
from ro32.model.text import content_hashes, normalize
from ro32.storage.files import InputFile


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of the input's columns."""

    id: str = "id"
    title: str = "title"
    abstract: str = "abstract"

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise UsageError(f"id, title and abstract must be three columns, found {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, str, str]:
        """The three names in the order id, title, abstract."""
        return self.id, self.title, self.abstract


@dataclass(frozen=True, kw_only=True)
class Part:
    """A contiguous range of rows of one input file: the unit of work.

    Attributes:
        index: Position among all parts of the input.
        path: The file.
        start: First row of the range within the file.
        rows: Length of the range, at least 1.
    """

    index: int
    path: InputFile
    start: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Papers:
    """The papers of one part, n rows in input order.

    Attributes:
        ids: n ids, in the plan's id type.
        titles: n normalized titles; empty where null.
        abstracts: n normalized abstracts; empty where null.
        errors: Shape (n,), uint8: positions in `REASONS`, not 0 where a row cannot be read and so is not scored.
        hashes: Shape (n,), dtype S16: digests of the normalized text.
    """

    ids: pa.ChunkedArray
    titles: Sequence[str]
    abstracts: Sequence[str]
    errors: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))
    hashes: Hashes = field(init=False)

    def __post_init__(self) -> None:
        if not len(self.errors):
            object.__setattr__(self, "errors", np.zeros(len(self.titles), dtype=np.uint8))
        object.__setattr__(self, "hashes", content_hashes(self.titles, self.abstracts))

    def __len__(self) -> int:
        return len(self.titles)


def check_schema(path: InputFile, schema: pa.Schema, columns: Columns) -> None:
    """Check a file's columns against the input contract.

    Raises:
        InputDataError: A column is missing, there twice, or of the wrong type.
    """
    missing = [name for name in columns.names if schema.get_field_index(name) < 0]
    if missing:
        meant = nearest(missing[0], set(schema.names) - {missing[0]})  # one that is there twice is missing too
        raise InputDataError(
            f"{path}: expected one column {' and one '.join(map(repr, missing))}, found {', '.join(schema.names)}"
            f"{meant}; name your columns with --id-column, --title-column, "
            "--abstract-column"
        )
    for name, allowed, expected in (
        (columns.id, is_id, "strings or integers"),
        (columns.title, is_text, "strings"),
        (columns.abstract, is_text, "strings"),
    ):
        if not allowed(schema.field(name).type):
            raise InputDataError(
                f"{path}: expected {expected} in column {name!r}, found {schema.field(name).type}; "
                "name another column or convert it"
            )


def read_parts(parts: Sequence[Part], columns: Columns, id_type: pa.DataType) -> Iterator[tuple[Part, Papers]]:
    """Read parts in input order, streaming: memory holds one part and a few thousand rows more.

    Args:
        parts: Parts in input order; gaps are allowed.
        columns: Names of the columns to read.
        id_type: What to cast the ids to.

    Raises:
        InputDataError: A checksum does not match, a value is invalid, or rows are missing.
        ReadWriteError: The file vanished or the disk failed half-way.
    """
    for part, batches in _cut(parts, columns.names):
        yield part, _papers(batches, columns, id_type)


def read_ids(parts: Sequence[Part], columns: Columns, id_type: pa.DataType) -> Iterator[tuple[Part, pa.ChunkedArray]]:
    """Read the ids of parts alone, as `read_parts` reads whole papers."""
    for part, batches in _cut(parts, [columns.id]):
        yield part, _ids(batches, columns, id_type)


def _cut(parts: Sequence[Part], names: Sequence[str]) -> Iterator[tuple[Part, Sequence[pa.RecordBatch]]]:
    """Yield each part with the batches that make it up, cut to its rows."""
    for path, group in groupby(parts, key=attrgetter("path")):
        wanted = list(group)
        held: list[pa.RecordBatch] = []
        for start, batch in sources.read_batches(path, names, from_row=wanted[0].start):
            end = start + batch.num_rows
            while wanted and wanted[0].start < end:
                part = wanted[0]
                first = max(part.start, start) - start
                held.append(batch.slice(first, part.start + part.rows - start - first))
                if part.start + part.rows > end:
                    break
                yield wanted.pop(0), held
                held = []
            if not wanted:
                break
        if wanted:
            raise InputDataError(
                f"{path}: the footer announces rows up to {wanted[0].start + wanted[0].rows}, which are not all there; "
                "the file is damaged, get it again"
            )


def _ids(batches: Sequence[pa.RecordBatch], columns: Columns, id_type: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([batch.column(columns.id).cast(id_type) for batch in batches], type=id_type)


def _papers(batches: Sequence[pa.RecordBatch], columns: Columns, id_type: pa.DataType) -> Papers:
    texts = pl.concat(
        [
            pl.DataFrame(
                {
                    "title": pl.Series(batch.column(columns.title)),
                    "abstract": pl.Series(batch.column(columns.abstract)),
                }
            ).select(normalize(pl.all()))
            for batch in batches
        ]
    )
    return Papers(
        ids=_ids(batches, columns, id_type),
        titles=texts["title"].to_list(),
        abstracts=texts["abstract"].to_list(),
        errors=np.concatenate([_errors(batch) for batch in batches]),
    )


def _errors(batch: pa.RecordBatch) -> NDArray[np.uint8]:
    """Return the error code of each row."""
    if ERRORS_COLUMN not in batch.schema.names:
        return np.zeros(batch.num_rows, dtype=np.uint8)
    return np.array([REASONS.index(reason) for reason in batch.column(ERRORS_COLUMN).to_pylist()], dtype=np.uint8)


def is_text(data_type: pa.DataType) -> bool:
    """Tell whether a column type holds strings, plain or dictionary-encoded."""
    if pa.types.is_dictionary(data_type):
        return is_text(data_type.value_type)
    return bool(
        pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type)
    )


def is_id(data_type: pa.DataType) -> bool:
    """Tell whether a column type can be that of ids: text or integers, plain or dictionary-encoded."""
    if pa.types.is_dictionary(data_type):
        return is_id(data_type.value_type)
    return bool(is_text(data_type) or pa.types.is_integer(data_type))
