"""Scores sorted once: the outcomes at every threshold, and the histogram of scores."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ro32.evaluation.intervals import (
    DecisionCounts,
    Estimate,
    decision_bounds,
    estimate_average_precision,
    estimate_decisions,
)
from ro32.model.metrics import Confusion

HISTOGRAM_BINS = 50
TARGETS = (0.8, 0.9, 0.95, 0.99)  # precisions and recalls that a threshold is looked up for
_RECALL_STEPS = 200
_THRESHOLD_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Scores of n papers by what the papers are."""

    positives: NDArray[np.float64]  # shape (p,), rising: scores of listed papers; at least one
    negatives: NDArray[np.float64]  # shape (n - p,), rising: those of all others

    @classmethod
    def of(cls, listed: NDArray[np.bool_], scores: NDArray[np.floating]) -> Self:
        """Sort scores, shape (n,), all finite."""
        values = scores.astype(np.float64)
        return cls(positives=np.sort(values[listed]), negatives=np.sort(values[~listed]))

    def counts_at(self, thresholds: NDArray[np.float64]) -> DecisionCounts:
        """Count decisions at t thresholds, shape (t, 4): tp, fp, fn, tn. A paper is called at or above a threshold."""
        missed, left = np.searchsorted(self.positives, thresholds), np.searchsorted(self.negatives, thresholds)
        return np.stack([len(self.positives) - missed, len(self.negatives) - left, missed, left], axis=-1)

    def confusion_at(self, threshold: float) -> Confusion:
        """Count decisions at one threshold."""
        tp, fp, fn, tn = self.counts_at(np.array([threshold]))[0].tolist()
        return Confusion(tp=tp, fp=fp, fn=fn, tn=tn)

    def measures_at(self, threshold: float) -> dict[str, Estimate]:
        """Measure decisions at one threshold, by the names in `DECISIONS`."""
        return estimate_decisions(self.counts_at(np.array([threshold])))[0]

    def average_precision(self) -> Estimate:
        """Measure the ranking, with its interval."""
        scores, counts = np.unique(self.positives, return_counts=True)
        above = len(self.negatives) - np.searchsorted(self.negatives, scores[::-1])
        return estimate_average_precision(
            counts[::-1].astype(np.int64), np.diff(above, prepend=0), len(self.negatives) - int(above[-1])
        )

    def threshold_of_precision(self, target: float) -> float | None:
        """Return the threshold that finds the most papers at a precision of at least the target; None if none does."""
        scores = np.unique(self.positives)
        tp, fp, _, _ = self.counts_at(scores).T
        fitting = np.flatnonzero(tp >= target * (tp + fp))
        return self._below(float(scores[fitting[0]])) if len(fitting) else None

    def threshold_of_recall(self, target: float) -> float:
        """Return the highest threshold that finds at least the target's share of the listed papers."""
        wanted = int(np.ceil(target * len(self.positives)))
        return self._below(float(self.positives[len(self.positives) - wanted]))

    def _below(self, score: float) -> float:
        """Return the middle between a score and the next lower one: a last-bit change in a score flips no label."""
        missed, left = np.searchsorted(self.positives, score), np.searchsorted(self.negatives, score)
        lower = [scores[at - 1] for scores, at in ((self.positives, missed), (self.negatives, left)) if at]
        return float((score + max(lower)) / 2) if lower else score

    def histogram(self) -> tuple[list[int], list[int]]:
        """Count listed and other papers in `HISTOGRAM_BINS` bins of equal width from 0 to 1."""
        edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
        listed, others = (np.histogram(scores, edges)[0].tolist() for scores in (self.positives, self.negatives))
        return listed, others


@dataclass(frozen=True, kw_only=True)
class OperatingPoints:
    """What t thresholds buy, the lowest first."""

    thresholds: NDArray[np.float64]  # shape (t,)
    counts: DecisionCounts  # shape (t, 4)
    low: NDArray[np.float64]  # shape (t, 4): ends of the intervals, in the order of `DECISIONS`
    high: NDArray[np.float64]


def operating_points(ranking: Ranking, *further: float) -> OperatingPoints:
    """Choose thresholds that show all there is to choose: even steps of the threshold, of recall, and further ones."""
    shares = np.linspace(0, 1, _RECALL_STEPS + 1)
    by_recall = ranking.positives[np.rint(shares * (len(ranking.positives) - 1)).astype(np.intp)]
    even = np.arange(1, _THRESHOLD_STEPS) / _THRESHOLD_STEPS
    thresholds = np.unique(np.concatenate([by_recall, even, np.array(further)]))
    counts = ranking.counts_at(thresholds)
    _, low, high = decision_bounds(counts)
    return OperatingPoints(thresholds=thresholds, counts=counts, low=low, high=high)
