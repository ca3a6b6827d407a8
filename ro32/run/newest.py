"""The newest papers of a dump, by what the dump itself lists them in: read beside their ids while a run commits.

No text is read for it and nothing is scored: the commit reads each paper's id, and has its score, anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ro32.data.categories import is_listed
from ro32.data.dates import appeared, date_columns
from ro32.errors import InputDataError, few, nearest
from ro32.storage.files import InputFile

KEPT_DAYS = 730
"""Days before the newest paper from which on papers are kept: two years of them have some 5 MB."""
DEFAULT_COLUMN = "categories"
_EPOCH = date(1970, 1, 1).toordinal()
_UNKNOWN = -1
"""Stands for the day of a paper that has no date or no categories, or a date in the future."""
_LISTED = "its categories"
"""A name that is no column of a dump."""
_PRUNED_AFTER_DAYS = 90
_ROWS_AT_ONCE = 8_192
"""So many that a call costs nothing."""


def truth_columns(path: InputFile, schema: pa.Schema, named: str | None) -> tuple[str, ...]:
    """Return the columns that say what papers are listed in, and when they appeared.

    Args:
        path: The file.
        schema: Its columns.
        named: The column of the categories, where one was named; else `DEFAULT_COLUMN` if that is there.

    Returns:
        The column of the categories and those of dates; none where the file has no categories.

    Raises:
        InputDataError: The column that was named is not there.
    """
    column = named or DEFAULT_COLUMN
    if schema.get_field_index(column) < 0:
        if named is None:
            return ()
        raise InputDataError(
            f"{path}: expected a column {named!r} of categories, found {few(schema.names)}"
            f"{nearest(named, schema.names)}; name another with --categories-column, or leave that out"
        )
    return column, *(name for name in date_columns(schema) if name != column)


@dataclass(frozen=True, kw_only=True)
class NewestPapers:
    """n papers that have a score, a date and categories, of the last two years up to the newest one.

    Attributes:
        day: Shape (n,), int32: days since 1970-01-01.
        listed: Shape (n,), bool: does the paper list the category of the positive label?
        score: Shape (n,), float32.
    """

    day: NDArray[np.int32]
    listed: NDArray[np.bool_]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.day)

    def take(self, rows: NDArray[np.bool_]) -> "NewestPapers":
        """Return some of the papers."""
        return NewestPapers(day=self.day[rows], listed=self.listed[rows], score=self.score[rows])


class Collector:
    """Collects the newest papers of a run, part by part.

    Args:
        category: What makes a paper positive.
        id_column: Column of the ids.
        columns: Of each file, what `truth_columns` found.
    """

    def __init__(self, category: str, id_column: str, columns: Mapping[InputFile, Sequence[str]]) -> None:
        self.columns = columns
        self._category, self._id = category, id_column
        self._today = datetime.now(UTC).date().toordinal() - _EPOCH
        self._newest = self._pruned = 0
        self._frames: list[pl.DataFrame] = []
        self._days: list[NDArray[np.int32]] = []
        self._listed: list[NDArray[np.bool_]] = []
        self._kept: list[NewestPapers] = []

    def look(self, path: InputFile, batch: pa.RecordBatch) -> None:
        """Take what a batch says of its papers; their scores come by `add`.

        Args:
            path: The file.
            batch: With the ids and the file's columns.

        Raises:
            InputDataError: The categories or the dates cannot be read.
        """
        names = self.columns[path]
        try:
            frame = pl.DataFrame({name: pl.Series(batch.column(name)) for name in (self._id, *names)})
            listed = is_listed(frame[names[0]], self._category) if names else pl.lit(None, pl.Boolean)
            self._frames.append(frame.select(pl.col(self._id, *names[1:]).cast(pl.String), listed.alias(_LISTED)))
        except pl.exceptions.PolarsError as error:
            raise InputDataError(f"{path}: categories or dates cannot be read: {error}") from error
        if sum(map(len, self._frames)) >= _ROWS_AT_ONCE:
            self._digest()

    def _digest(self) -> None:
        """Find out when the papers that were looked at appeared."""
        if not self._frames:
            return
        frame = pl.concat(self._frames)
        self._frames.clear()
        day = appeared(frame, self._id).to_physical().fill_null(_UNKNOWN).to_numpy(writable=True)
        day[(day > self._today) | frame[_LISTED].is_null().to_numpy()] = _UNKNOWN
        self._newest = max(self._newest, int(day.max()))
        self._days.append(day)
        self._listed.append(frame[_LISTED].fill_null(value=False).to_numpy())

    def add(self, scores: NDArray[np.float32]) -> None:
        """Take the scores, shape (n,), of the papers looked at since the last call; NaN where there is none."""
        self._digest()
        papers = NewestPapers(day=np.concatenate(self._days), listed=np.concatenate(self._listed), score=scores)
        self._days.clear()
        self._listed.clear()
        self._kept.append(papers.take(self._recent(papers) & np.isfinite(scores)))
        if self._newest > self._pruned + _PRUNED_AFTER_DAYS:  # in a dump by date, each paper is new at first
            self._kept, self._pruned = [self.papers()], self._newest

    def papers(self) -> NewestPapers:
        """Return what was collected."""
        nothing = NewestPapers(day=np.zeros(0, np.int32), listed=np.zeros(0, np.bool_), score=np.zeros(0, np.float32))
        kept = [nothing, *self._kept]
        papers = NewestPapers(
            day=np.concatenate([item.day for item in kept]),
            listed=np.concatenate([item.listed for item in kept]),
            score=np.concatenate([item.score for item in kept]),
        )
        return papers.take(self._recent(papers))

    def _recent(self, papers: NewestPapers) -> NDArray[np.bool_]:
        return np.asarray((papers.day > self._newest - KEPT_DAYS) & (papers.day != _UNKNOWN))
