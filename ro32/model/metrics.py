"""Measures of a binary classifier, one implementation for training, export, evaluation and bench."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of a binary decision: tp + fp + fn + tn papers.

    A ratio whose denominator is zero is 0.0, as scikit-learn has it by default.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @classmethod
    def of(
        cls, truth: NDArray[np.bool_], predicted: NDArray[np.bool_], weights: NDArray[np.int64] | None = None
    ) -> "Confusion":
        """Count decisions, all of shape (n,): is a paper positive, was it called so, and for how many papers it counts.

        Each counts once by default.
        """
        each = np.ones(len(truth), dtype=np.int64) if weights is None else weights
        tp, fp, fn, tn = (
            int(np.sum(each[group]))
            for group in (truth & predicted, ~truth & predicted, truth & ~predicted, ~truth & ~predicted)
        )
        return cls(tp=tp, fp=fp, fn=fn, tn=tn)

    @property
    def accuracy(self) -> float:
        """Share of papers decided rightly."""
        return _ratio(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)

    @property
    def precision(self) -> float:
        """Share of papers called positive that are."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of positive papers that were called so."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Precision and recall at every threshold that makes a difference, of shape (m,), float64, by rising recall.

    The thresholds are the distinct scores, falling. A paper is positive at or above the threshold.
    """

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """Area under the curve as a step function: sum of precision times the rise in recall."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 at each threshold, shape (m,); 0 where nothing is found."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(total > 0, total, 1.0)

    def best_f1(self) -> tuple[float, float]:
        """Return the threshold of the highest F1, and that F1.

        The threshold lies half-way to the next lower score, so that a last-bit change in a score flips no label.
        """
        best = int(np.argmax(self.f1))
        below = self.thresholds[best + 1] if best + 1 < len(self.thresholds) else self.thresholds[best]
        return float((self.thresholds[best] + below) / 2), float(self.f1[best])


def precision_recall(
    truth: NDArray[np.bool_], scores: NDArray[np.floating], weights: NDArray[np.int64] | None = None
) -> Curve:
    """Compute the precision-recall curve of n papers: truth, finite scores and counts are of shape (n,).

    Each counts once by default.

    Raises:
        ValueError: No positive paper, so recall is undefined.
    """
    each = np.ones(len(truth), dtype=np.int64) if weights is None else weights
    positives = int(np.sum(each[truth]))
    if positives == 0:
        raise ValueError("no positive paper: precision and recall are undefined")
    order = np.argsort(-scores, kind="stable")
    ranked = np.asarray(scores, dtype=np.float64)[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found = np.cumsum((truth * each)[order])[last_of_tie]
    called = np.cumsum(each[order])[last_of_tie]
    return Curve(thresholds=ranked[last_of_tie], precision=found / called, recall=found / positives)


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Return the average precision (the step-function area under the precision-recall curve)."""
    return precision_recall(truth, scores).average_precision


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
