"""Compares the old bundle with the new one on the same papers, and tests the difference."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ro32.evaluation.intervals import LEVEL, SEED, Estimate
from ro32.refresh.combine import Verdicts, measure_verdicts

RESAMPLES = 1_000
MEASURES = ("average precision", "F1", "precision", "recall")
"""What `measure_verdicts` returns."""
DECIDING = MEASURES[:2]
"""Measures that decide whether a bundle is better."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Two bundles on the same papers.

    Attributes:
        papers: Papers that the figures speak of.
        positives: Positive ones among them.
        old, new: By measure.
        difference: New minus old, with its 95 % interval by the paired bootstrap.
    """

    papers: int
    positives: int
    old: dict[str, float]
    new: dict[str, float]
    difference: dict[str, Estimate]

    @property
    def better(self) -> bool:
        """Whether one of the deciding measures rose by more than chance, and none fell by more than chance."""
        found = [self.difference[name] for name in DECIDING]
        return any(item.low > 0 for item in found) and not any(item.high < 0 for item in found)

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield each measure's name, old and new value, and difference with its interval."""
        for name, found in self.difference.items():
            difference = f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
            yield name, f"{self.old[name]:.4f}", f"{self.new[name]:.4f}", difference

    def table(self) -> str:
        """Lay out both for the terminal."""
        head = f"{f'{self.papers:,} held-out papers, {self.positives:,} positive':<44}{'old':>8}{'new':>8}  95 %"
        return "\n".join([head, *(f"{name:<44}{old:>8}{new:>8}  {change}" for name, old, new, change in self.rows())])


def compare_bundles(positive: NDArray[np.bool_], counts: NDArray[np.int64], old: Verdicts, new: Verdicts) -> Contest:
    """Compare two bundles on n papers.

    Papers are drawn with replacement, both bundles judged on the same draw. Papers that speak for themselves and those
    that speak for others are drawn apart, as they were sampled.

    Args:
        positive: Shape (n,); at least one is True.
        counts: Shape (n,): for how many papers each speaks.
        old: What the old bundle says of them.
        new: What the new one says of them, fitted on other papers.
    """
    stratum = np.where(positive, 2, counts > 1)
    strata = [np.flatnonzero(stratum == value) for value in np.unique(stratum)]
    rng, draws = np.random.default_rng(SEED), np.empty((RESAMPLES, len(MEASURES)))
    for draw in range(RESAMPLES):
        times = np.zeros(len(positive), dtype=np.int64)
        for rows in strata:
            times[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
        before, after = (measure_verdicts(positive, verdicts, times * counts) for verdicts in (old, new))
        draws[draw] = np.subtract(after, before)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).tolist()
    before, after = (measure_verdicts(positive, verdicts, counts) for verdicts in (old, new))
    return Contest(
        papers=int(counts.sum()),
        positives=int(counts[positive].sum()),
        old=dict(zip(MEASURES, before, strict=True)),
        new=dict(zip(MEASURES, after, strict=True)),
        difference={
            name: Estimate(value=after[at] - before[at], low=low[at], high=high[at]) for at, name in enumerate(MEASURES)
        },
    )
