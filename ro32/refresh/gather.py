"""Reads the texts of a dump: features of the training papers, and the held-out papers."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ro32.model.classifier import Classifier
from ro32.model.text import normalize
from ro32.refresh.census import Census
from ro32.refresh.held_out import Division
from ro32.train.dump import Dump
from ro32.train.fit_linear import FeatureMatrix, stack_features

_CHUNK_PAPERS = 64
"""Papers that a thread scores at a time."""


def gather(
    dumps: Sequence[Dump], census: Census, division: Division, category: str, *, on_rows: Callable[[int], object]
) -> tuple[FeatureMatrix, pl.DataFrame]:
    """Read the texts of dumps, and keep what serves for something.

    Returns:
        Features of the training papers, and the held-out papers that have a text: `id`, `title` and `abstract`,
        normalized, `primary` (the first category), and `positive`, `recent`, `month` and `draw` as in census and
        division.

    Raises:
        InputDataError: A dump is damaged.
    """
    kept: list[pl.DataFrame] = []
    primary = pl.col("categories").str.split(" ").list.first().alias("primary")

    def training() -> Iterator[pl.DataFrame]:
        start = 0
        for frame in chain.from_iterable(dump.frames() for dump in dumps):
            rows = slice(start, start + len(frame))
            start = rows.stop
            held = frame.filter(division.held_out[rows])
            kept.append(held.select("id", normalize(pl.col("title", "abstract")), primary))
            on_rows(len(frame))
            yield frame.filter(division.training[rows])

    features = stack_features(training(), category)
    known = {"positive": census.positive, "recent": division.recent, "month": census.month, "draw": census.draw}
    columns = [pl.Series(name, values[division.held_out]) for name, values in known.items()]
    return features, pl.concat(kept).with_columns(columns).filter((pl.col("title") != "") | (pl.col("abstract") != ""))


def texts(papers: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Return titles and abstracts."""
    return papers["title"].to_list(), papers["abstract"].to_list()


def encoder_log_odds(
    classifier: Classifier, papers: pl.DataFrame, *, threads: int, on_rows: Callable[[int], object]
) -> NDArray[np.float64]:
    """Ask the encoder about n papers.

    Returns:
        Shape (n,): log-odds of the positive label; NaN if a paper has no token.
    """
    positive = classifier.manifest.positive_index

    def ask(chunk: pl.DataFrame) -> list[float]:
        found = []
        for title, abstract in zip(*texts(chunk), strict=True):
            input_ids = classifier.encode(title, abstract)
            logits = classifier.logits(input_ids) if input_ids else np.full(2, np.nan, dtype=np.float32)
            found.append(float(logits[positive]) - float(logits[1 - positive]))
        return found

    log_odds: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(ask, papers.iter_slices(_CHUNK_PAPERS)):
            log_odds += found
            on_rows(len(found))
    return np.array(log_odds)
