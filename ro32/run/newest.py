"""Categories of the newest papers of a dump, read beside their ids during the commit.

No text is read for it and nothing is scored: the commit reads each paper's id, and has its score, anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ro32.data.categories import as_text, is_listed
from ro32.data.dates import CREATED, UPDATED, appeared
from ro32.data.parquet import read_batches
from ro32.errors import InputDataError, Ro32Error
from ro32.run.plan import Plan
from ro32.storage.files import InputFile

# Polars looks for NumPy once, and panics if a signal arrives just then; now, none is awaited yet.
pl.Series([0]).to_numpy()

KEPT_DAYS = 730
"""Days before the newest paper from which on papers are kept: two years of them have some 5 MB."""
_EPOCH = date(1970, 1, 1).toordinal()
_KEPT = {"day": pl.Int32, "listed": pl.Boolean, "score": pl.Float32}
_CATEGORIES, _ROW = "its categories", "its row"
"""Columns that this module adds to a frame; their names cannot be those of a dump's own."""
_PRUNED_AFTER_DAYS = 90
_UPDATED_WITHIN_DAYS = 31
_NEW_IDS = "2007-04"
"""Since when ids begin with year and month."""


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
        plan: Of the run.

    Attributes:
        columns: Of each file, what is read beside the ids. Without any, the papers were not all looked at.
    """

    def __init__(self, category: str, plan: Plan) -> None:
        self.columns = {source.path: source.truth for source in plan.sources}
        self._category, self._id = category, plan.columns.id
        self._today = datetime.now(UTC).date().toordinal() - _EPOCH
        self._newest = self._pruned = 0
        self._expected = min(
            max((_last_date(path, names) for path, names in self.columns.items()), default=0), self._today
        )
        self._seen = 0
        self._frames: list[pl.DataFrame] = []
        self._kept: list[pl.DataFrame] = [pl.DataFrame(schema=_KEPT)]

    def look(self, path: InputFile, batch: pa.RecordBatch) -> None:
        """Take a batch of papers, ids and the file's columns; their scores come by `add`.

        Raises:
            InputDataError: The categories or the dates cannot be read.
        """
        first, self._seen = self._seen, self._seen + len(batch)
        names = self.columns.get(path, ())
        try:
            rows = self._candidates(batch, names)
            if not len(rows):
                return
            some = batch if len(rows) == len(batch) else batch.take(pa.array(rows))
            frame = {name: as_text(pl.Series(some.column(name))) for name in (self._id, *names[1:])}
            frame |= {_CATEGORIES: as_text(pl.Series(some.column(names[0]))), _ROW: pl.Series(rows + first)}
            self._frames.append(pl.DataFrame(frame))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException) as error:
            raise InputDataError(f"{path}: categories or dates cannot be read: {error}") from error

    def _candidates(self, batch: pa.RecordBatch, names: Sequence[str]) -> NDArray[np.int64]:
        """Find the rows that may be recent, at a hundredth of what it takes to read a date."""
        if not names:
            return np.zeros(0, dtype=np.int64)
        since = date.fromordinal(max(self._newest, self._expected, KEPT_DAYS) - KEPT_DAYS + _EPOCH).isoformat()
        tests = [(name, since[: len("2024-11")]) for name in (CREATED, UPDATED) if name in names][:1]
        if CREATED not in names and since > _NEW_IDS:
            tests.append((self._id, f"{since[2:4]}{since[5:7]}"))  # ids of arXiv begin so, and older ones with a letter
        may = np.ones(len(batch), dtype=np.bool_)
        for name, least in tests:
            column = batch.column(name)
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                may &= pc.fill_null(pc.greater_equal(column, least), fill_value=True).to_numpy(zero_copy_only=False)
        return np.flatnonzero(may)

    def add(self, scores: NDArray[np.float32]) -> None:
        """Take the scores, shape (n,), of the papers looked at since the last call; NaN if there is none."""
        if self._frames:
            frame = pl.concat(self._frames)
            days = appeared(frame, self._id).to_physical()
            listed = is_listed(frame[_CATEGORIES], self._category)
            papers = pl.DataFrame([days, listed, pl.Series(scores[frame[_ROW].to_numpy()])], schema=_KEPT)
            papers = papers.filter(pl.col("day") <= self._today, pl.col("listed").is_not_null())
            self._newest = max([self._newest, *papers["day"].top_k(1)])
            self._kept.append(papers.filter(self._is_recent(), pl.col("score").is_finite()))
        self._seen = 0
        self._frames.clear()
        if self._newest > self._pruned + _PRUNED_AFTER_DAYS:  # in a dump by date, each paper is new at first
            self._kept, self._pruned = [pl.concat(self._kept).filter(self._is_recent())], self._newest

    def papers(self) -> NewestPapers:
        """Return the collected papers."""
        found = pl.concat(self._kept).filter(self._is_recent())
        return NewestPapers(**{name: found[name].to_numpy() for name in _KEPT})

    def _is_recent(self) -> pl.Expr:
        return pl.col("day") > self._newest - KEPT_DAYS


def _last_date(path: InputFile, names: Sequence[str]) -> int:
    """Return the last date of a local Parquet file, as days since 1970-01-01; 0 where none can be read.

    Known beforehand, it saves a look at the papers of all years, for a twentieth of its time. Papers are updated after
    they appeared, mostly within a month.
    """
    column = next((name for name in (CREATED, UPDATED) if name in names), None)
    if column is None or not isinstance(path, Path):
        return 0
    try:
        last = (pc.max(batch.column(0)).as_py() for _, batch in read_batches(path, [column]))
        text = max(str(value) for value in last if value is not None)[:10]
        found = date.fromisoformat(text if len(text) > len("2024-11") else f"{text}-01").toordinal() - _EPOCH
    except (Ro32Error, ValueError, OverflowError, pa.ArrowException):  # another form, or no date there
        return 0
    return max(found - (0 if column == CREATED else _UPDATED_WITHIN_DAYS), 0)
