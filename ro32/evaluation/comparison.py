"""Compares two models on the same papers: differences of measures and labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ro32.evaluation.intervals import Estimate, estimate_differences
from ro32.evaluation.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A model against the first one, over the papers that both scored."""

    first: str
    second: str
    papers: int
    better: int  # papers whose label only the second has right
    worse: int  # papers whose label only the first has right
    differences: dict[str, Estimate]  # second minus first, by the names in `DECISIONS`, with paired intervals
    flips: NDArray[np.intp]  # rows of the papers whose labels differ, those first whose scores differ the most


def compare(listed: NDArray[np.bool_], first: Scores, second: Scores) -> Comparison | None:
    """Compare two models on n papers, each at its own threshold; None if no paper was scored by both."""
    both = np.isfinite(first.values) & np.isfinite(second.values)
    if not both.any():
        return None
    calls = [item.values.astype(np.float64) >= item.threshold for item in (first, second)]
    cells = (listed * 4 + calls[0] * 2 + calls[1])[both]
    counts = np.bincount(cells, minlength=8).reshape(2, 2, 2)  # by truth, call of the first, call of the second
    flips = np.flatnonzero(both & (calls[0] != calls[1]))
    distance = np.abs(first.values[flips] - second.values[flips])
    return Comparison(
        first=first.name,
        second=second.name,
        papers=int(both.sum()),
        better=int(counts[0, 1, 0] + counts[1, 0, 1]),
        worse=int(counts[0, 0, 1] + counts[1, 1, 0]),
        differences=estimate_differences(counts),
        flips=flips[np.argsort(-distance, kind="stable")],
    )
