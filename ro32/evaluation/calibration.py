"""Calibration: of the papers with a score near 0.7, are seven in ten listed?"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ro32.evaluation.intervals import LEVEL, Estimate, draw, reflect

BINS = 15
"""Of equal width, 0 to 1, as in Guo et al., ICML 2017, https://arxiv.org/abs/1706.04599."""
_CELLS_A_BIN = 20  # papers are drawn by cells 1/300 wide: finer ones move an interval's ends by less than another seed


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Papers with scores from `start` to below `end` (the last has its end too), and how many of them are listed."""

    start: float
    end: float
    papers: int
    listed: int
    mean_score: float | None  # None without papers
    low: float | None  # of the 95 % interval of the share listed, by Wilson's formula; None without papers
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How scores and shares agree, in all papers and by bins, the lowest scores first."""

    error: Estimate  # expected calibration error: mean of |mean score - share listed| of the bin, over all papers
    mean_score: float
    bins: tuple[Bin, ...]


def measure_calibration(listed: NDArray[np.bool_], scores: NDArray[np.floating]) -> Calibration:
    """Measure n papers, both arrays of shape (n,); scores are 0 to 1."""
    cells = BINS * _CELLS_A_BIN
    at = np.minimum((scores * cells).astype(np.intp), cells - 1)
    counts = np.stack([np.bincount(at[~listed], minlength=cells), np.bincount(at[listed], minlength=cells)])
    sums = np.bincount(at, weights=scores, minlength=cells)
    means = sums / np.maximum(counts.sum(axis=0), 1)
    drawn = draw(counts.ravel()).reshape(-1, 2, cells)
    per_bin = counts.reshape(2, BINS, _CELLS_A_BIN).sum(axis=-1)
    return Calibration(
        error=reflect(float(_error(counts, means)), _error(drawn, means)),
        mean_score=float(sums.sum() / len(scores)),
        bins=tuple(
            _bin(index, int(per_bin[:, index].sum()), int(per_bin[1, index]), float(total))
            for index, total in enumerate(sums.reshape(BINS, _CELLS_A_BIN).sum(axis=-1))
        ),
    )


def wilson(part: ArrayLike, whole: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both ends of the 95 % intervals of shares, of one shape with the counts.

    Source: Wilson, JASA 1927, https://doi.org/10.1080/01621459.1927.10502953
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    papers = np.asarray(whole, dtype=np.float64)
    share, spread = np.asarray(part) / papers, z * z / papers
    centre, reach = share + spread / 2, z * np.sqrt(share * (1 - share) / papers + spread / (4 * papers))
    return (centre - reach) / (1 + spread), (centre + reach) / (1 + spread)


def _error(counts: NDArray[np.int64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the error of counts of shape (..., 2, cells), other papers first."""
    surplus = (counts[..., 1, :] - counts.sum(axis=-2) * means).reshape(*counts.shape[:-2], BINS, _CELLS_A_BIN)
    return np.asarray(np.abs(surplus.sum(axis=-1)).sum(axis=-1) / counts.sum(axis=(-2, -1)))


def _bin(index: int, papers: int, listed: int, total: float) -> Bin:
    low, high = map(float, wilson(listed, papers)) if papers else (None, None)
    return Bin(
        start=index / BINS,
        end=(index + 1) / BINS,
        papers=papers,
        listed=listed,
        mean_score=total / papers if papers else None,
        low=low,
        high=high,
    )
