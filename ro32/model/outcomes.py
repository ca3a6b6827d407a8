"""Outcomes of papers: scores and errors as arrays, and an index of them by content hash."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

EMPTY_TEXT = "empty_text"
"""Neither title nor abstract holds a token of text."""
NON_FINITE = "non_finite"
"""The model returned infinity or NaN for this paper."""

INVALID_UTF8 = "invalid_utf8"
"""Title or abstract, or the id beside them, holds bytes that are not UTF-8."""
MALFORMED = "malformed"
"""The row cannot be read: a line that is no JSON object, a row of another number of fields."""

UNCERTAIN = "uncertain"
"""The score lies in the band in which a person decides: an error without a label, but with a score."""

REASONS: tuple[str | None, ...] = (None, EMPTY_TEXT, NON_FINITE, INVALID_UTF8, MALFORMED)
"""Why a paper was not scored, by error code; 0 is a scored paper."""

FIRST_READING_ERROR = REASONS.index(INVALID_UTF8)
"""From this code on, a row could not be read, and its hash says nothing of a text."""

Hashes = NDArray[np.bytes_]
"""Content hashes, dtype S16. No two of them compare equal unless all 16 bytes are."""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What became of n papers.

    Attributes:
        scores: Shape (n,), float32: probability of the positive label; NaN if a paper was not scored.
        errors: Shape (n,), uint8: positions in `REASONS`.
        screened: Shape (n,), bool: was the paper scored by the screen of a cascade alone?
    """

    scores: NDArray[np.float32]
    errors: NDArray[np.uint8]
    screened: NDArray[np.bool_]

    @classmethod
    def empty(cls, papers: int) -> Self:
        """Return the outcomes of n papers of which nothing is known."""
        return cls(
            scores=np.full(papers, np.nan, dtype=np.float32),
            errors=np.zeros(papers, dtype=np.uint8),
            screened=np.zeros(papers, dtype=np.bool_),
        )

    @classmethod
    def concatenate(cls, pieces: Sequence[Self]) -> Self:
        """Join outcomes in order."""
        pieces = [cls.empty(0), *pieces]
        names = [item.name for item in fields(cls)]
        return cls(**{name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in names})

    def take(self, rows: NDArray[np.bool_]) -> Self:
        """Return the outcomes of the rows that are true."""
        return type(self)(scores=self.scores[rows], errors=self.errors[rows], screened=self.screened[rows])

    def __len__(self) -> int:
        return len(self.scores)


_SCREENED = np.uint8(0x80)
"""Added to the error code in a record, so that records of papers that were scored in full are what they always were."""
_RECORD = np.dtype([("hash", "S16"), ("score", "<f4"), ("error", "u1")])
_KEY = np.dtype(("S", _RECORD.itemsize))
"""A whole record seen as bytes: records sort by hash, in place, without a second array."""


def pack(hashes: Hashes, outcomes: Outcomes) -> NDArray[np.void]:
    """Put n papers into records of 21 bytes, shape (n,): hash, score, error code and `_SCREENED`.

    The bytes are the same on every platform; the score of an unscored paper is one and the same NaN.
    """
    records = np.zeros(len(hashes), dtype=_RECORD)
    records["hash"], records["error"] = hashes, outcomes.errors | outcomes.screened * _SCREENED
    records["score"] = np.where(outcomes.errors > 0, np.float32(np.nan), outcomes.scores)
    return records


class OutcomeIndex:
    """Finds the outcome of a paper by its content hash; 21 bytes a paper.

    Sorted arrays of records, the small ones merged into larger ones as they come, so that n papers are in O(log n)
    arrays. A hash may be in it twice, with the outcome that was added for it each time; any of them is found.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.bytes_]] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, hashes: Hashes, outcomes: Outcomes) -> None:
        """Add n papers."""
        self.add_all(len(hashes), [(hashes, outcomes)])

    def add_all(self, rows: int, batches: Iterable[tuple[Hashes, Outcomes]]) -> None:
        """Add batches of so many papers together (else ValueError is raised) without ever holding them twice."""
        records = np.zeros(rows, dtype=_RECORD)
        filled = kept = 0
        for hashes, outcomes in batches:
            known = outcomes.errors < FIRST_READING_ERROR
            packed = pack(hashes[known], outcomes.take(known))
            records[kept : kept + len(packed)] = packed
            filled, kept = filled + len(hashes), kept + len(packed)
        if filled != rows:
            raise ValueError(f"announced {rows} papers, found {filled}")
        if kept == 0:
            return
        run: NDArray[np.bytes_] = records[:kept].view(_KEY)
        run.sort()
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort()
        self._runs.append(run)

    def find(self, hashes: Hashes) -> tuple[NDArray[np.bool_], Outcomes]:
        """Return which of n papers are in the index, shape (n,), and their outcomes; NaN, 0, false if they are not."""
        found, outcomes = np.zeros(len(hashes), dtype=np.bool_), Outcomes.empty(len(hashes))
        for run in self._runs:
            position = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            records = run[position].view(_RECORD)
            here = records["hash"] == hashes
            found |= here
            records = records[here]
            outcomes.scores[here] = records["score"]
            outcomes.errors[here] = records["error"] & ~_SCREENED
            outcomes.screened[here] = records["error"] >= _SCREENED
        return found, outcomes
