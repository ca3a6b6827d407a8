"""Reads the texts of a dump: features of the training papers, and the held-out papers."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ro32.errors import TryAgainError
from ro32.model.classifier import Classifier
from ro32.model.text import normalize
from ro32.refresh.census import Census
from ro32.refresh.held_out import Division
from ro32.run.walk import Progress
from ro32.train.dump import Dump
from ro32.train.fit_linear import FeatureMatrix, stack_features

_CHUNK_PAPERS = 64
"""Papers that a thread scores at a time."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """n held-out papers of normalized text.

    Attributes:
        ids, titles, abstracts: n strings each.
        primary: n first categories.
        positive, recent: Shape (n,), bool.
        month: Shape (n,), int32: as in the census.
        draw: Shape (n,), float64: by the hash of the papers' ids.
    """

    ids: Sequence[str]
    titles: Sequence[str]
    abstracts: Sequence[str]
    primary: Sequence[str]
    positive: NDArray[np.bool_]
    recent: NDArray[np.bool_]
    month: NDArray[np.int32]
    draw: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> "HeldOut":
        """Return the papers of some rows, in the order of the rows."""
        ids, titles, abstracts, primary = (
            [column[row] for row in rows.tolist()] for column in (self.ids, self.titles, self.abstracts, self.primary)
        )
        return HeldOut(
            ids=ids,
            titles=titles,
            abstracts=abstracts,
            primary=primary,
            positive=self.positive[rows],
            recent=self.recent[rows],
            month=self.month[rows],
            draw=self.draw[rows],
        )


def gather(
    dumps: Sequence[Dump], census: Census, division: Division, category: str, *, on_rows: Callable[[int], object]
) -> tuple[FeatureMatrix, HeldOut]:
    """Read the texts of dumps, and keep what serves for something.

    Raises:
        InputDataError: A dump is damaged.
        TryAgainError: It is not what the census counted.
    """
    kept: list[pl.DataFrame] = []

    def training() -> Iterator[pl.DataFrame]:
        start = stop = 0
        for dump in dumps:
            stop += dump.rows
            for frame in dump.frames():
                rows = slice(start, start + len(frame))
                start = rows.stop
                if start > stop:
                    raise _changed(dump)
                primary = pl.col("categories").str.split(" ").list.first().alias("primary")
                held = frame.filter(division.held_out[rows])
                kept.append(held.select("id", normalize(pl.col("title", "abstract")), primary))
                on_rows(len(frame))
                yield frame.filter(division.training[rows])
            if start < stop:
                raise _changed(dump)

    features = stack_features(training(), category)
    papers = pl.concat(kept)
    return features, HeldOut(
        ids=papers["id"].to_list(),
        titles=papers["title"].to_list(),
        abstracts=papers["abstract"].to_list(),
        primary=papers["primary"].to_list(),
        positive=census.positive[division.held_out],
        recent=division.recent[division.held_out],
        month=census.month[division.held_out],
        draw=census.draw[division.held_out],
    )


def _changed(dump: Dump) -> TryAgainError:
    return TryAgainError(f"{dump.path} changed while it was read; run again when it is complete")


def encoder_log_odds(
    classifier: Classifier, papers: HeldOut, *, threads: int, on_rows: Callable[[int], object]
) -> NDArray[np.float64]:
    """Ask the encoder about n papers.

    Returns:
        Shape (n,): log-odds of the positive label; NaN if a paper has no token.
    """
    positive = classifier.manifest.positive_index

    def ask(start: int) -> list[float]:
        found = []
        for row in range(start, min(start + _CHUNK_PAPERS, len(papers.ids))):
            input_ids = classifier.encode(papers.titles[row], papers.abstracts[row])
            logits = classifier.logits(input_ids) if input_ids else np.full(2, np.nan, dtype=np.float32)
            found.append(float(logits[positive]) - float(logits[1 - positive]))
        return found

    log_odds: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(ask, range(0, len(papers.ids), _CHUNK_PAPERS)):
            log_odds += found
            on_rows(len(found))
    return np.array(log_odds)


def count_rows(total: int, on_progress: Callable[[Progress], None]) -> Callable[[int], None]:
    """Return a counter that reports the finished rows."""
    done = 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        on_progress(Progress(papers=total, papers_done=done, parts=1, parts_done=int(done >= total)))

    return count
