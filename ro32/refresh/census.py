"""A first pass over a dump: which papers are positive, how new they are, and which are held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ro32.data.dates import CREATED, MONTHS_A_YEAR, UNKNOWN, appeared, months
from ro32.errors import InputDataError, UsageError, nearest
from ro32.train.corpus import hash_id
from ro32.train.dump import Dump
from ro32.train.fit_linear import check_both_kinds, is_listed

FEWEST_POSITIVES = 50
"""Positive papers that are needed on each side: of fewer, a threshold is a matter of luck."""
_ID_SEED = 32
"""Of the hash that holds papers out. Any number does; another one holds out others."""


@dataclass(frozen=True, kw_only=True)
class Census:
    """n rows of one dump or several, in their order.

    Attributes:
        latest: Shape (n,): is it the last row of its paper?
        positive: Shape (n,): does the paper list the category?
        month: Shape (n,), int32: months since year 0 of its first version; `UNKNOWN` where nothing says.
        draw: Shape (n,), float64: 0 to 1, by the hash of the paper's id: the same in every dump.
    """

    latest: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    month: NDArray[np.int32]
    draw: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.positive)

    @property
    def newest(self) -> int:
        """The latest month of any paper, dates in the future aside."""
        now = datetime.now(UTC)
        dated = self.month[(self.month != UNKNOWN) & (self.month <= now.year * MONTHS_A_YEAR + now.month - 1)]
        return int(dated.max()) if len(dated) else UNKNOWN


def take_census(
    dumps: Sequence[Dump], category: str, *, on_rows: Callable[[int], object] = lambda _rows: None
) -> Census:
    """Read ids, categories and dates of dumps, and no texts; `on_rows` gets the number of rows since its last call.

    Raises:
        InputDataError: A dump is damaged, its categories cannot be read, papers are of one kind, or undated.
    """
    counted = [pl.DataFrame(schema={"hash": pl.UInt64, "positive": pl.Boolean, "month": pl.Int32})]
    others: set[str] = set()
    for frame in chain.from_iterable(dump.frames(texts=False) for dump in dumps):
        hashes = pl.Series([hash_id(name, seed=_ID_SEED) for name in frame["id"]], dtype=pl.UInt64)
        positive, month = is_listed(frame["categories"], category), months(appeared(frame, "id"))
        counted.append(pl.DataFrame({"hash": hashes, "positive": positive, "month": month}))
        others.update(frame["categories"].str.split(" ").explode().unique())
        on_rows(len(frame))
    papers = pl.concat(counted)
    truth, month = papers["positive"].to_numpy(), papers["month"].to_numpy()
    where = ", ".join(str(dump.path) for dump in dumps)
    if not truth.any():
        raise InputDataError(
            f"{where}: no paper is listed in {category}{nearest(category, filter(None, others))}; name another dump, "
            "or another category with --category"
        )
    check_both_kinds(truth, where, category)
    if not (month != UNKNOWN).any():
        raise InputDataError(f"{where}: no paper has a date; give the dump a column {CREATED} as in 2024-11-30")
    latest = papers["hash"].is_last_distinct().to_numpy()
    return Census(latest=latest, positive=truth, month=month, draw=papers["hash"].to_numpy() / 2.0**64)


def parse_month(text: str) -> int:
    """Read a date, of which year and month count: "2024-11", "2024-11-30"; raise UsageError if it is none."""
    try:
        day = date.fromisoformat(text if len(text) > len("2024-11") else f"{text}-01")
    except ValueError as error:
        raise UsageError(f"--since: expected a date as in 2024-11, found {text!r}") from error
    return day.year * MONTHS_A_YEAR + day.month - 1


def check_positives(positive: NDArray[np.bool_], what: str, category: str) -> None:
    """Raise InputDataError for fewer than `FEWEST_POSITIVES` positive papers, or for no others."""
    found = int(positive.sum())
    if found < FEWEST_POSITIVES or found == len(positive):
        raise InputDataError(
            f"expected at least {FEWEST_POSITIVES} papers of {category}, and others, among {what}, found {found:,} of "
            f"{len(positive):,}; name a larger dump, or an earlier --since"
        )
