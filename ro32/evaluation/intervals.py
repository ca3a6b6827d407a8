"""95 % bootstrap intervals, exact and without scipy.

Every figure depends on counts alone, and the counts of papers drawn with replacement follow a multinomial distribution:
so counts are drawn, in seconds where drawing 2.5 million papers takes hours. Intervals are bias-corrected percentiles
(Efron 1981, https://doi.org/10.2307/3314608); docs/decisions.md has the coverage of the reflected ones.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000  # draws of an interval: its ends then vary by about a twentieth of its width
SEED = 20_230_227  # the same papers and scores give the same intervals with the same release of numpy
LEVEL = 0.95
DECISIONS = ("accuracy", "precision", "recall", "f1")  # measures of a decision, in the order of the arrays' last axis

DecisionCounts = NDArray[np.int64]  # counts of decisions, shape (..., 4): tp, fp, fn, tn

_NORMAL = NormalDist()
_DRAWN_AT_ONCE = 2_000_000  # counts drawn at once: 16 MB


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def decide(counts: DecisionCounts) -> NDArray[np.float64]:
    """Compute the measures of decisions, shape (..., 4) in the order of `DECISIONS`; 0 where nothing is counted."""
    tp, fp, fn, tn = np.moveaxis(counts, -1, 0)
    pairs = ((tp + tn, tp + fp + fn + tn), (tp, tp + fp), (tp, tp + fn), (2 * tp, 2 * tp + fp + fn))
    return np.stack([part / np.maximum(whole, 1) for part, whole in pairs], axis=-1)


def estimate_decisions(counts: DecisionCounts) -> list[dict[str, Estimate]]:
    """Measure g decisions, counts of shape (g, 4) with a paper in each row; each by the names in `DECISIONS`."""
    return [_by_name(*rows) for rows in zip(*decision_bounds(counts), strict=True)]


def decision_bounds(counts: DecisionCounts) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Measure g decisions, as arrays of shape (g, 4): what was found, and the lower and upper ends of the intervals."""
    values = decide(counts)
    # One after the other, as there may be any number; each with the same numbers, so that a decision has one interval
    # wherever it stands.
    drawn = (_rng().multinomial(int(row.sum()), row / row.sum(), size=RESAMPLES) for row in counts)
    ends = [_bias_corrected(value, decide(draws)) for value, draws in zip(values, drawn, strict=True)]
    low, high = np.stack(ends, axis=1)
    return values, low, high


def estimate_differences(counts: NDArray[np.int64]) -> dict[str, Estimate]:
    """Describe by how much one decision is better than another on the same papers, by the names in `DECISIONS`.

    Counts have shape (2, 2, 2): papers by truth, first decision and second decision, 0 for no and 1 for yes.
    """
    total = int(counts.sum())
    drawn = _rng().multinomial(total, counts.ravel() / total, size=RESAMPLES).reshape(RESAMPLES, 2, 2, 2)
    value, replicates = _differences(counts), _differences(drawn)
    return _by_name(value, *_bias_corrected(value, replicates))


def estimate_average_precision(positives: NDArray[np.int64], negatives: NDArray[np.int64], rest: int) -> Estimate:
    """Measure a ranking.

    Only a score that a positive paper has adds to average precision. So papers are counted by the m distinct ones, the
    highest first, shape (m,): positive papers of that score, at least 1; other papers of it, or between it and the next
    higher one; and the rest, below the lowest.
    """
    value = _average_precision(positives[None], negatives[None])
    cells = np.concatenate([positives, negatives, [rest]])
    drawn_at_once = max(_DRAWN_AT_ONCE // len(cells), 1)
    rng, replicates = _rng(), np.empty(RESAMPLES)
    for first in range(0, RESAMPLES, drawn_at_once):
        size = min(drawn_at_once, RESAMPLES - first)
        drawn = rng.multinomial(int(cells.sum()), cells / cells.sum(), size=size)
        replicates[first : first + size] = _average_precision(
            drawn[:, : len(positives)], drawn[:, len(positives) : 2 * len(positives)]
        )
    low, high = _bias_corrected(value, replicates[np.isfinite(replicates), None])
    return Estimate(value=float(value[0]), low=float(low[0]), high=float(high[0]))


def reflect(value: float, replicates: NDArray[np.float64]) -> Estimate:
    """Make an interval for a figure that chance can only raise, and that is at least 0, such as a calibration error.

    Every draw adds chance to the chance that is in the papers already, so replicates lie above the value by about as
    much as the value lies above the truth; reflected at the value they lie where the truth is.
    """
    low, high = np.quantile(replicates, [(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    return Estimate(value=value, low=max(float(2 * value - low), 0.0), high=max(float(2 * value - high), 0.0))


def draw(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw counts of as many papers, shape (RESAMPLES, c), c counts a draw."""
    occurring = np.flatnonzero(counts)
    drawn = np.zeros((RESAMPLES, len(counts)), dtype=np.int64)
    drawn[:, occurring] = _rng().multinomial(int(counts.sum()), counts[occurring] / counts.sum(), size=RESAMPLES)
    return drawn


def _by_name(*arrays: NDArray[np.float64]) -> dict[str, Estimate]:
    """Turn values, lower and upper ends, shape (4,) each, into estimates."""
    columns = zip(DECISIONS, *(array.tolist() for array in arrays), strict=True)
    return {name: Estimate(value=value, low=low, high=high) for name, value, low, high in columns}


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def _differences(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compare decisions of counts of shape (..., 2, 2, 2)."""
    tables = (counts.sum(axis=axis) for axis in (-1, -2))  # by truth and one decision: tn, fp, fn, tp
    first, second = (decide(table.reshape(*table.shape[:-2], 4)[..., [3, 1, 2, 0]]) for table in tables)
    return second - first


def _average_precision(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute average precision of each row of counts; NaN if no positive paper was drawn."""
    found, wrong = np.cumsum(positives, axis=-1), np.cumsum(negatives, axis=-1)
    precision = found / np.maximum(found + wrong, 1)
    with np.errstate(invalid="ignore"):
        return np.asarray((positives * precision).sum(axis=-1) / found[:, -1])


def _bias_corrected(
    values: NDArray[np.float64], replicates: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both ends of the intervals of figures, shape (...), from replicates, shape (r, ...)."""
    share = (replicates < values).mean(axis=0) + (replicates == values).mean(axis=0) / 2
    edge = 0.5 / len(replicates)
    bias = 2 * np.vectorize(_NORMAL.inv_cdf, otypes=[float])(np.clip(share, edge, 1 - edge))
    reach = _NORMAL.inv_cdf((1 + LEVEL) / 2)
    ordered = np.sort(replicates, axis=0)
    low, high = (_take(ordered, np.vectorize(_NORMAL.cdf, otypes=[float])(bias + sign * reach)) for sign in (-1, 1))
    return low, high


def _take(ordered: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantiles of columns that are sorted along the first axis, each at its own level."""
    at = levels * (len(ordered) - 1)
    below = np.floor(at).astype(np.intp)
    above = np.minimum(below + 1, len(ordered) - 1)
    lower, upper = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (below, above))
    return np.asarray(lower + (at - below) * (upper - lower))
