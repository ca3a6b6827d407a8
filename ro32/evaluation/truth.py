"""The reference to measure by: papers listed in a category, and their groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ro32.data import sources
from ro32.data.categories import split_categories
from ro32.data.dates import MONTHS_A_YEAR, UNKNOWN, appeared, date_columns, months
from ro32.data.papers import check_id_sizes, is_id
from ro32.data.utf8 import is_text
from ro32.errors import InputDataError, few, nearest
from ro32.run.inputs import find_files
from ro32.storage.files import changes_reported

_FACTS = {"listed": pl.Boolean, "month": pl.Int32, "primary": pl.Int32, "characters": pl.Int32}
"""What is known of each paper besides its id."""


@dataclass(frozen=True, kw_only=True)
class TruthColumns:
    """Names of a dump's columns. It needs the first two; what it lacks of the others is unknown."""

    id: str = "id"
    categories: str = "categories"
    title: str = "title"
    abstract: str = "abstract"

    @property
    def needed(self) -> tuple[str, str]:
        """The columns that every dump must have."""
        return self.id, self.categories


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The papers of a dump, n rows in input order. Holds no texts: 30 bytes a paper or so, most of them the id.

    The month is that of the first version, by the column created, else by the id, else by update_date. Arrays have the
    shape (n,); month and characters are `UNKNOWN` where nothing tells them.
    """

    ids: pa.ChunkedArray  # strings
    listed: NDArray[np.bool_]  # does the category stand anywhere among the paper's categories?
    month: NDArray[np.int32]  # since year 0
    primary: NDArray[np.int32]  # position of the first category in `categories`
    categories: tuple[str, ...]  # all first categories that occur; "" stands for a paper without any
    characters: NDArray[np.int32]  # Unicode code points of title and abstract

    def __len__(self) -> int:
        return len(self.listed)

    @property
    def year(self) -> NDArray[np.int32]:
        """Year of each paper, shape (n,); `UNKNOWN` where its month is."""
        return self.month // MONTHS_A_YEAR

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the papers of some rows, in the order of the rows."""
        return replace(self, ids=self.ids.take(pa.array(rows)), **{name: getattr(self, name)[rows] for name in _FACTS})


def read_truth(inputs: Sequence[str], category: str, columns: TruthColumns | None = None) -> Truth:
    """Read which papers of a dump (files, folders or patterns) are listed in a category, for example "cs.RO".

    Raises:
        InputMissingError: An input is not there.
        InputDataError: A file is damaged or lacks one of the columns.
        TryAgainError: A file changed while it was read.
    """
    ids: list[pa.Array] = []
    frames = [pl.DataFrame(schema=_FACTS)]
    categories: dict[str, int] = {}
    for path in find_files(inputs):
        with changes_reported(path):
            for batch_ids, frame in _read_file(path, category, columns or TruthColumns(), categories):
                ids.append(batch_ids)
                frames.append(frame)
    facts = pl.concat(frames)
    return Truth(
        ids=pa.chunked_array(ids, type=pa.string()),
        categories=tuple(categories),
        **{name: facts[name].to_numpy() for name in _FACTS},
    )


def _read_file(
    path: Path, category: str, columns: TruthColumns, numbers: dict[str, int]
) -> Iterator[tuple[pa.Array, pl.DataFrame]]:
    """Yield the ids and the facts of the papers of one file; first categories that are new get a number."""
    schema = sources.survey(path).schema
    check_columns(path, schema, columns.needed)
    types = {name: schema.field(name).type for name in schema.names if schema.get_field_index(name) >= 0}
    texts = [name for name in (columns.title, columns.abstract) if name in types and is_text(types[name])]
    texts = texts if len(texts) == 2 else []  # noqa: PLR2004 - half a text has no length to group by
    names = list(dict.fromkeys([*columns.needed, *date_columns(schema), *texts]))
    for start, batch in sources.read_batches(path, names, lists=[columns.categories]):
        check_id_sizes(path, start, batch.column(columns.id))
        frame = pl.DataFrame({name: pl.Series(batch.column(name)) for name in names})
        categories = split_categories(frame[columns.categories], f"{path}", start)
        primaries = categories.list.first().fill_null("")
        for name in primaries.unique(maintain_order=True):
            numbers.setdefault(name, len(numbers))
        facts = {
            "listed": categories.list.contains(category),
            "month": months(appeared(frame, columns.id)),
            "primary": primaries.replace_strict(numbers, return_dtype=pl.Int32),
            "characters": frame.select(_characters(texts)).to_series(),
        }
        yield batch.column(columns.id).cast(pa.string()), pl.DataFrame(facts, schema=_FACTS)


def _characters(texts: Sequence[str]) -> pl.Expr:
    """Count characters; a length needs no more than the white space at both ends gone."""
    if not texts:
        return pl.repeat(UNKNOWN, pl.len(), dtype=pl.Int32)
    return pl.sum_horizontal(
        pl.col(name).cast(pl.String).fill_null("").str.strip_chars().str.len_chars() for name in texts
    ).cast(pl.Int32)


def check_listed(truth: Truth, category: str, inputs: Sequence[str]) -> None:
    """Raise InputDataError if there is no paper to find, before hours of scoring."""
    if not truth.listed.any():
        meant = nearest(category, filter(None, truth.categories))
        raise InputDataError(
            f"{', '.join(inputs)}: no paper is listed in {category}{meant}; name another category with --category"
        )


def check_columns(path: Path, schema: pa.Schema, names: Sequence[str]) -> None:
    """Raise InputDataError if a file lacks one of some columns, or has it twice, or the first holds no ids."""
    missing = [name for name in names if schema.names.count(name) != 1]
    if missing:
        raise InputDataError(
            f"{path}: expected a column {' and a column '.join(map(repr, missing))}, found {few(schema.names)}"
            f"{nearest(missing[0], set(schema.names) - {missing[0]})}"
        )
    found = schema.field(names[0]).type
    if not is_id(found):
        raise InputDataError(f"{path}: expected strings or integers in column {names[0]!r}, found {found}")
