"""The input contract: the columns that scoring needs, papers and parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ro32.data.parquet import is_null
from ro32.data.utf8 import is_text
from ro32.errors import InputDataError, UsageError, few, nearest
from ro32.model.outcomes import REASONS, Hashes
from ro32.model.text import content_hash
from ro32.storage.files import InputFile

MAX_ID_BYTES = 4_096
"""Longest id: of arXiv they have 20, and a URL has 2,000 at most."""


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

    `index` counts the parts of the input; `start` is a row of the file; there is at least one row.
    """

    index: int
    path: InputFile
    start: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Papers:
    """The papers of one part, n rows in input order.

    Attributes:
        ids: In the plan's id type.
        titles: Normalized, empty if null; none where earlier labels know all rows.
        abstracts: Likewise.
        errors: Shape (n,), uint8: positions in `REASONS`, not 0 where a row cannot be read and so is not scored.
        hashes: Shape (n,), dtype S16: digests of the normalized text.
    """

    ids: pa.ChunkedArray
    titles: Sequence[str]
    abstracts: Sequence[str]
    errors: NDArray[np.uint8]
    hashes: Hashes

    @classmethod
    def of_texts(
        cls, ids: pa.ChunkedArray, titles: Sequence[str], abstracts: Sequence[str], errors: NDArray[np.uint8]
    ) -> Self:
        """Digest n papers of normalized texts."""
        digests = list(map(content_hash, titles, abstracts))
        for row in np.flatnonzero(errors).tolist():  # never that of a paper which can be read
            digests[row] = content_hash(f"\n{REASONS[errors[row]]}\n{titles[row]}", abstracts[row])
        hashes = np.frombuffer(b"".join(digests), dtype="S16")
        return cls(ids=ids, titles=titles, abstracts=abstracts, errors=errors, hashes=hashes)

    def __len__(self) -> int:
        return len(self.hashes)


def check_schema(path: InputFile, schema: pa.Schema, columns: Columns) -> None:
    """Raise InputDataError for a file that lacks a column, or has it twice or of the wrong type.

    Titles or abstracts that are nulls alone may have the type of numbers.
    """
    missing = [name for name in columns.names if schema.names.count(name) != 1]
    if missing:
        meant = nearest(missing[0], set(schema.names) - {missing[0]})  # one that is there twice is missing too
        raise InputDataError(
            f"{path}: expected one column {' and one '.join(map(repr, missing))}, found {few(schema.names)}{meant}; "
            "name your columns with --id-column, --title-column, --abstract-column"
        )
    for name in columns.names:
        found = schema.field(name).type
        if not (is_id(found) if name == columns.id else _may_be_text(path, schema.field(name))):
            expected = "strings or integers" if name == columns.id else "strings"
            raise InputDataError(
                f"{path}: expected {expected} in column {name!r}, found {found}; name another column or convert it"
            )


def check_id_sizes(path: InputFile, start: int, ids: pa.Array) -> None:
    """Refuse ids of more than `MAX_ID_BYTES`, before they are held or taken out of a dictionary.

    Raises:
        InputDataError: One is longer; says in which row, counted from `start`.
    """
    values = ids.dictionary if pa.types.is_dictionary(ids.type) else ids
    if not is_text(values.type) or (pc.max(pc.binary_length(values)).as_py() or 0) <= MAX_ID_BYTES:
        return
    too_long = pc.greater(pc.binary_length(values), MAX_ID_BYTES)
    rows = too_long if values is ids else too_long.take(ids.indices)
    if pc.any(rows).as_py():
        row = start + int(pc.index(rows, value=True).as_py())
        raise InputDataError(
            f"{path}, row {row:,}: an id of more than {MAX_ID_BYTES:,} bytes; name another column with --id-column"
        )


def _may_be_text(path: InputFile, column: pa.Field) -> bool:
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return is_null(path, column.name)  # pandas and DuckDB may make numbers of it
    return _is_text_or_null(column.type)


def _is_text_or_null(data_type: pa.DataType) -> bool:
    return is_text(data_type) or bool(pa.types.is_null(data_type))


def is_id(data_type: pa.DataType) -> bool:
    """Return whether a column type can be that of ids: text or integers, plain or dictionary-encoded."""
    if pa.types.is_dictionary(data_type):
        return is_id(data_type.value_type)
    return bool(_is_text_or_null(data_type) or pa.types.is_integer(data_type))
