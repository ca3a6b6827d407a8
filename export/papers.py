"""Papers with known categories, and the selection of those to verify on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ro32.errors import InputDataError
from ro32.evaluation.truth import Truth, read_truth
from ro32.model.text import normalize
from ro32.train.dump import Dump

SHARE_POSITIVE = 0.25
"""Most of the papers to verify on that are drawn from the positives: label flips happen among them and their like."""
SHARE_OF_EXTREMES = 0.1
"""Of the shortest papers, and of the longest, which are the ones that truncation touches."""
COLUMNS = ("id", "title", "abstract")


@dataclass(frozen=True, kw_only=True)
class LabelledPapers:
    """n papers of normalized text, every one with some text, in input order."""

    ids: Sequence[str]
    titles: Sequence[str]
    abstracts: Sequence[str]
    truth: Truth  # what their categories and dates say
    digest: str  # SHA-256 in hex of the file that they come from

    @classmethod
    def of(cls, frame: pl.DataFrame, truth: Truth, path: Path) -> Self:
        """Take the papers of a frame of `read_texts`, and digest the file that they come from."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        ids, titles, abstracts = (frame[name].to_list() for name in COLUMNS)
        return cls(ids=ids, titles=titles, abstracts=abstracts, truth=truth, digest=digest)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Shape (n,): is the paper listed in the category?"""
        return self.truth.listed

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the papers of some rows, in the order of the rows."""
        columns = (self.ids, self.titles, self.abstracts)
        ids, titles, abstracts = ([column[row] for row in rows] for column in columns)
        return replace(self, ids=ids, titles=titles, abstracts=abstracts, truth=self.truth.take(rows))


def read_papers(path: Path, category: str) -> LabelledPapers:
    """Read all papers of a file that have any text; positive are those that list the category anywhere.

    Raises:
        InputMissingError: The file is not there, or is a device, pipe, socket or folder.
        InputDataError: The file is damaged or lacks a column, or not both kinds of papers are in it.
    """
    frame = read_texts(path)
    rows = np.flatnonzero(frame.select((pl.col("title") != "") | (pl.col("abstract") != "")).to_series().to_numpy())
    frame, truth = frame[rows], read_truth([str(path)], category).take(rows)
    if np.unique(truth.listed).size < 2:  # noqa: PLR2004 - positive and negative
        raise InputDataError(
            f"{path}: expected papers inside and outside of {category}, found only one kind among {len(frame)}; "
            "name a file whose categories hold both"
        )
    return LabelledPapers.of(frame, truth, path)


def read_texts(path: Path) -> pl.DataFrame:
    """Read the `COLUMNS` of a file as text, titles and abstracts normalized; errors as of `read_papers`."""
    texts = [frame.select(COLUMNS) for frame in Dump.open(path, labelled=False).frames()]
    if not texts:
        raise InputDataError(f"{path}: expected papers, found no row; name another file")
    return pl.concat(texts).with_columns(normalize(pl.col("title", "abstract")))


def pick_hard(papers: LabelledPapers, count: int, seed: int) -> NDArray[np.int64]:
    """Choose papers to verify on: positives, the shortest and the longest by their shares, the rest at random.

    Returns:
        Rows in ascending order, without repetition, both kinds of papers among them; all rows if there are no more.
    """
    if count >= len(papers):
        return np.arange(len(papers))
    rng = np.random.default_rng(seed)
    characters = np.array([len(title) + len(text) for title, text in zip(papers.titles, papers.abstracts, strict=True)])
    by_length, extremes = np.argsort(characters, kind="stable"), int(count * SHARE_OF_EXTREMES)
    positives = rng.permutation(np.flatnonzero(papers.positive))
    first = np.concatenate(
        [
            positives[: max(1, int(count * SHARE_POSITIVE))],
            by_length[:extremes],
            by_length[len(papers) - extremes :],
            rng.permutation(np.flatnonzero(~papers.positive)),
        ]
    )
    distinct = first[np.sort(np.unique(first, return_index=True)[1])]
    return np.sort(distinct[:count])


def pick_random(papers: LabelledPapers, count: int, seed: int) -> NDArray[np.int64]:
    """Choose papers at random, so that the share of positives stays what it is; rows in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(len(papers))[:count])
