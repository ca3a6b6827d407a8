"""Fits the combination of a bundle's views to one calibrated probability, on papers not used for training."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ro32.evaluation.calibration import BINS
from ro32.model.metrics import Confusion, Curve, precision_recall
from ro32.model.views import View, ViewName

FOLDS = 5
"""Every figure of a card is measured on a fifth of the papers with what was fitted on the other four."""
CURVE_POINTS = 200
"""Points of a curve that the bundle keeps, evenly spread over recall: half a percent of recall apart."""
_NEWTON_STEPS = 50
_RIDGE = 1e-6
"""Keeps weights finite where a score separates the papers perfectly; four decades below anything that shows."""


@dataclass(frozen=True, kw_only=True)
class ViewScores:
    """n papers scored by both models.

    Attributes:
        positive: Shape (n,), bool: is the paper listed in the category?
        encoder: Shape (n,), float64: log-odds of the encoder.
        linear: Shape (n,), float64: log-odds of the linear view.
        weights: Shape (n,), int64: for how many papers each speaks, in any unit; 0 leaves it out of every fit. Equal by
            default.
        counts: Shape (n,), int64: how many papers of the file each stands for, where only a sample was scored; 1 by
            default.
    """

    positive: NDArray[np.bool_]
    encoder: NDArray[np.float64]
    linear: NDArray[np.float64]
    weights: NDArray[np.int64] | None = None
    counts: NDArray[np.int64] | None = None

    @property
    def papers(self) -> NDArray[np.int64]:
        """How many papers each stands for, shape (n,)."""
        return np.ones(len(self), dtype=np.int64) if self.counts is None else self.counts

    @property
    def each(self) -> NDArray[np.int64]:
        """How much each counts in a fit, shape (n,)."""
        return self.papers if self.weights is None else self.weights * self.papers

    def __len__(self) -> int:
        return len(self.positive)


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What a view or a bundle says of n papers.

    Attributes:
        score: Shape (n,), float64.
        called: Shape (n,), bool: does it call the paper positive?
    """

    score: NDArray[np.float64]
    called: NDArray[np.bool_]


@dataclass(frozen=True)
class ViewQuality:
    """What a view is worth, cross-fitted: no paper is judged by a fit or a threshold that it had a part in.

    Attributes:
        average_precision: Step-function area under the precision-recall curve.
        f1, precision, recall: At the threshold that the other folds chose.
        calibration_error: Expected calibration error, over bins of `ro32.evaluation.calibration`.
    """

    average_precision: float
    f1: float
    precision: float
    recall: float
    calibration_error: float

    def rounded(self) -> dict[str, float]:
        """Return the measures by name, with the six digits that a manifest has."""
        return {measure: round(value, 6) for measure, value in asdict(self).items()}

    def table_row(self, name: str) -> str:
        """Return the row of a card's table."""
        return f"| {name} | {' | '.join(f'{value:.4f}' for value in asdict(self).values())} |"


def fit_view(scores: ViewScores, name: ViewName, threshold: float | None = None) -> tuple[View, Curve]:
    """Fit a view's three numbers on all papers, and choose the threshold of its best F1 unless one is given."""
    counting = scores.each > 0
    weights = _fit(scores, name, counting)
    curve = precision_recall(scores.positive[counting], _apply(scores, weights)[counting], scores.each[counting])
    if threshold is None:
        threshold, _ = curve.best_f1()
    intercept, encoder, linear = weights
    return View(intercept=intercept, encoder=encoder, linear=linear, threshold=threshold), curve


def probabilities(scores: ViewScores, view: View) -> NDArray[np.float32]:
    """Return the probabilities of the papers by a view, shape (n,)."""
    return _apply(scores, view.weights).astype(np.float32)


def cross_fit(scores: ViewScores, name: ViewName, threshold: float | None = None) -> Verdicts:
    """Score every paper by a view that was fitted on the other folds, and call it by their threshold or a given one."""
    fold = np.arange(len(scores)) % FOLDS
    found = np.zeros(len(scores))
    called = np.zeros(len(scores), dtype=np.bool_)
    for held_out in range(FOLDS):
        mine, others = fold == held_out, (fold != held_out) & (scores.each > 0)
        fitted = _apply(scores, _fit(scores, name, others))
        curve = precision_recall(scores.positive[others], fitted[others], scores.each[others])
        found[mine] = fitted[mine]
        called[mine] = fitted[mine] >= (curve.best_f1()[0] if threshold is None else threshold)
    return Verdicts(score=found, called=called)


def measure_verdicts(
    positive: NDArray[np.bool_], found: Verdicts, weights: NDArray[np.int64]
) -> tuple[float, float, float, float]:
    """Return average precision, F1, precision and recall on n papers of weights, shape (n,); 0 leaves a paper out."""
    counting = weights > 0
    curve = precision_recall(positive[counting], found.score[counting], weights[counting])
    decided = Confusion.of(positive, found.called, weights)
    return curve.average_precision, decided.f1, decided.precision, decided.recall


def judge_view(positive: NDArray[np.bool_], found: Verdicts, weights: NDArray[np.int64]) -> ViewQuality:
    """Measure what a view says of papers whose truth, shape (n,), is known, and which have weights, shape (n,)."""
    return ViewQuality(*measure_verdicts(positive, found, weights), calibration_error(positive, found.score, weights))


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Papers in bins of equal width of their probability; the bins without a paper are skipped.

    Attributes:
        papers: Shape (m,), int64: how many are in a bin, or the sum of their weights.
        predicted: Shape (m,), float64: their mean probability.
        observed: Shape (m,), float64: the share of them that is positive.
    """

    papers: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]


def reliability(truth: NDArray[np.bool_], found: NDArray[np.float64], weights: NDArray[np.int64]) -> Reliability:
    """Compare probabilities with what came true, of papers of weights, all of shape (n,)."""
    bins = np.minimum((found * BINS).astype(np.int64), BINS - 1)
    papers = np.bincount(bins, weights=weights, minlength=BINS).astype(np.int64)
    there = papers > 0
    sums = (np.bincount(bins, weights=values * weights, minlength=BINS)[there] for values in (found, truth))
    predicted, observed = (total / papers[there] for total in sums)
    return Reliability(papers=papers[there], predicted=predicted, observed=observed)


def calibration_error(truth: NDArray[np.bool_], found: NDArray[np.float64], weights: NDArray[np.int64]) -> float:
    """Return the expected calibration error: mean |share of positives - mean probability| over bins, all (n,)."""
    bins = reliability(truth, found, weights)
    return float(np.average(np.abs(bins.observed - bins.predicted), weights=bins.papers))


def curves_csv(curves: Mapping[ViewName, Curve]) -> bytes:
    """Write down curves for readers: view,threshold,precision,recall, by rising recall."""
    lines = ["view,threshold,precision,recall"]
    for name, curve in curves.items():
        at = np.searchsorted(curve.recall, np.linspace(0, 1, CURVE_POINTS + 1)[1:] - 1e-12)
        for point in np.unique(np.minimum(at, len(curve.recall) - 1)):
            values = (curve.thresholds[point], curve.precision[point], curve.recall[point])
            lines.append(",".join([name, *(f"{value:.6g}" for value in values)]))
    return "".join(f"{line}\n" for line in lines).encode()


def replace_curve(curves: bytes, view: str, curve: Curve) -> bytes:
    """Put another curve of one view into what `curves_csv` wrote."""
    others = [line for line in curves.decode().splitlines() if not line.startswith(f"{view},")]
    own = curves_csv({ViewName(view): curve}).decode().splitlines()[1:]
    return "".join(f"{line}\n" for line in [others[0], *own, *others[1:]]).encode()


def _columns(scores: ViewScores, name: ViewName) -> NDArray[np.float64]:
    """Return what a view is fitted on, shape (n, 3); a model that it does not ask is 0, and so gets the weight 0."""
    encoder, linear = (name is not ViewName.LINEAR) * scores.encoder, (name is not ViewName.ENCODER) * scores.linear
    return np.column_stack([np.ones(len(scores)), encoder, linear])


def _apply(scores: ViewScores, weights: Sequence[float]) -> NDArray[np.float64]:
    return _sigmoid(_columns(scores, ViewName.COMBINED) @ np.array(weights))


def _sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))


def _fit(scores: ViewScores, name: ViewName, rows: NDArray[np.bool_]) -> list[float]:
    """Fit a view's weights on some rows."""
    each = scores.each[rows] / scores.each.mean()
    weights: list[float] = fit_logistic(_columns(scores, name)[rows], scores.positive[rows], each).tolist()
    return weights


def fit_logistic(columns: NDArray[np.float64], target: NDArray[Any], each: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a logistic regression by Newton's method.

    Args:
        columns: Shape (n, k), one of them constant where an intercept is wanted.
        target: Shape (n,): truth values, or probabilities.
        each: Shape (n,): weights of the papers.

    Returns:
        Shape (k,), the weights.
    """
    weights = np.zeros(columns.shape[1])
    for _ in range(_NEWTON_STEPS):
        expected = _sigmoid(columns @ weights)
        gradient = columns.T @ (each * (target - expected)) - _RIDGE * weights
        curvature = (columns.T * (each * expected * (1 - expected))) @ columns + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))  # a longer step overshoots where both kinds separate
        weights = weights + step
        if np.abs(step).max() < 1e-10:  # noqa: PLR2004 - below what float64 tells apart in a sum over 1e5 papers
            break
    return weights
