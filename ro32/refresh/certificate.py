"""Certifies a cascade: counts the labels that it changes on papers not used for training, and chooses the cut.

The cut is chosen on the papers that it is measured on, and yet it keeps to the allowed share, because what a cut
changes, a higher one changes too. Let c be the lowest cut that truly changes more than the allowed share. One above c
is chosen only if the bound at c is within the share too, and that happens in at most 1 - confidence of all draws.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ro32.errors import BundleError
from ro32.model.binomial import upper_bound
from ro32.model.cascade import Cascade, Certificate
from ro32.model.metrics import Confusion, precision_recall
from ro32.model.views import sigmoid
from ro32.refresh.combine import fit_logistic

STEPS = 16
"""Cuts are multiples of one part in so many of a unit of log-odds: numbers that can be read, at hardly any cost."""
MAX_LOSS = {"f1": 0.001, "average_precision": 0.0015}
"""Most that a cascade may cost, where the papers' categories tell."""
FRONT = np.arange(-12.0, 4.5, 0.5)
"""Cuts at which cascade.csv tells what would change."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """n papers with a score, all scored in full.

    Attributes:
        ids: n ids.
        linear: Shape (n,), float64: log-odds by the linear view; infinite where the screen leaves a paper alone.
        full: Shape (n,), float32: score by full scoring.
        threshold: At or above it a paper is called positive.
        listed: Shape (n,), bool: is the paper listed in the category? None if the papers have no categories.
        groups: Names of groupings, and for each n values: for example "year" and the papers' years.
        counts: Shape (n,), int64: for how many papers each of a sample stands; 1 where all were scored, or where the
            papers are a plain random draw.
    """

    ids: Sequence[str]
    linear: NDArray[np.float64]
    full: NDArray[np.float32]
    threshold: float
    listed: NDArray[np.bool_] | None
    groups: dict[str, Sequence[str]]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def called(self) -> NDArray[np.bool_]:
        """Which papers full scoring calls positive, shape (n,)."""
        return np.asarray(self.full.astype(np.float64) >= self.threshold)

    @property
    def stretch(self) -> float:
        """By how much a share of the sample can understate that of the papers that it stands for, at most; at least 1.

        Let paper i of n stand for w_i of N. Of these N, at most sum(w_i p_i) / N change, which is no more than
        n max(w) / N times the mean of the p_i: what a bound on the sample bounds. Without this factor, papers
        that were taken on purpose would count as if they had been drawn.
        """
        return float(len(self) * self.counts.max() / self.counts.sum())

    def bound(self, lost: int, confidence: float) -> float:
        """Return the upper confidence bound of the share of all papers that change, when `lost` of the sample do."""
        return upper_bound(lost, len(self), confidence) * self.stretch


def most_allowed(papers: int, max_share: float, confidence: float, stretch: float) -> int:
    """Return how many of n labels may change so that the bound, times `stretch`, stays within the share.

    Raises:
        BundleError: There are too few papers to show that, even if no label changes.
    """
    if upper_bound(0, papers, confidence) * stretch > max_share:
        raise BundleError(
            f"{papers:,} papers are too few to show that at most {max_share:.4%} of the labels change, even if none "
            "changes; measure on more papers, or allow a larger share"
        )
    allowed = 0
    while upper_bound(allowed + 1, papers, confidence) * stretch <= max_share:
        allowed += 1
    return allowed


def choose_cut(measured: Measured, max_share: float, confidence: float) -> float:
    """Return the highest cut, and so the fastest, whose bound is within the share.

    Raises:
        BundleError: There are too few papers, or no paper would be screened.
    """
    allowed = most_allowed(len(measured), max_share, confidence, measured.stretch)
    screenable = np.isfinite(measured.linear)
    at_stake = np.sort(measured.linear[screenable & measured.called])
    highest = at_stake[allowed] if allowed < len(at_stake) else measured.linear[screenable].max(initial=-np.inf)
    cut = float(np.floor(highest * STEPS) / STEPS)
    if not (measured.linear < cut).any():
        raise BundleError(
            "no cut excludes any paper from the encoder; the linear view separates these papers too poorly"
        )
    return cut


def make_cascade(measured: Measured, *, view: str, max_share: float, confidence: float, papers_sha256: str) -> Cascade:
    """Choose the cut, fit the score of the papers below it, and certify both.

    The score is fitted to the full scores of these papers, so that it is their mean among papers of equal l. A cut that
    is too high for the score to stay below the threshold, or that costs too much quality, gives way to a lower one.

    Args:
        measured: Papers that no model was trained on.
        view: By which of the bundle's views they were scored in full.
        max_share: Share of the labels that may change, 0 to 1.
        confidence: Of the bound, 0 to 1.
        papers_sha256: Digest in hex of the file of papers.

    Raises:
        BundleError: There are too few papers, or no cut is within all bounds.
    """
    cut = choose_cut(measured, max_share, confidence)
    while True:
        intercept, weight = _fit_score(measured, cut)
        if sigmoid(intercept + weight * cut) < measured.threshold:
            row = next(table(measured, cut))
            certificate = Certificate(
                papers=row.papers,
                screened=row.screened,
                lost=row.lost,
                gained=row.gained,
                max_share=max_share,
                bound=measured.bound(row.lost, confidence),
                confidence=confidence,
                view=view,
                threshold=measured.threshold,
                papers_sha256=papers_sha256,
            )
            cascade = Cascade(cut=cut, intercept=intercept, linear=weight, certificate=certificate)
            found = quality(measured, cascade)
            losses = {name: found[f"full_{name}"] - found[f"cascade_{name}"] for name in MAX_LOSS if found}
            if all(loss <= MAX_LOSS[name] for name, loss in losses.items()):
                return replace(cascade, certificate=replace(certificate, quality=found))
        cut -= 1 / STEPS


def _fit_score(measured: Measured, cut: float) -> tuple[float, float]:
    below = measured.linear < cut
    if not below.any():
        raise BundleError("no cut is within all bounds; the linear view separates these papers too poorly")
    columns = np.column_stack([np.ones(int(below.sum())), measured.linear[below]])
    target = measured.full[below].astype(np.float64)
    each = measured.counts[below] / measured.counts[below].mean()
    intercept, weight = fit_logistic(columns, target, each)
    if weight < 0:  # no relation to speak of: all get the same score
        (intercept,), weight = fit_logistic(columns[:, :1], target, each), 0.0
    return float(intercept), float(weight)


def cascade_scores(measured: Measured, cascade: Cascade) -> NDArray[np.float32]:
    """Return the scores of the cascade without its audit, shape (n,)."""
    scores = measured.full.copy()
    below = np.flatnonzero(measured.linear < cascade.cut)
    scores[below] = [cascade.probability(linear) for linear in measured.linear[below].tolist()]
    return scores


def quality(measured: Measured, cascade: Cascade) -> dict[str, float]:
    """Compare both ways to score with the truth; nothing where that is not known."""
    if measured.listed is None or not measured.listed.any():
        return {}
    found, counts = {}, measured.counts
    by_cascade = cascade_scores(measured, cascade)
    for name, scores in (("full", measured.full), ("cascade", by_cascade)):
        called = scores.astype(np.float64) >= measured.threshold
        curve = precision_recall(measured.listed, scores, counts)
        found[f"{name}_average_precision"] = round(curve.average_precision, 6)
        found[f"{name}_f1"] = round(Confusion.of(measured.listed, called, counts).f1, 6)
    below = measured.linear < cascade.cut
    for name, values in (("share_listed", measured.listed), ("mean_score", by_cascade.astype(np.float64))):
        found[f"screened_{name}"] = round(float(np.average(values[below], weights=counts[below])), 8)
    return found


class Row(NamedTuple):
    """What a cut does to some papers: one line of cascade.csv.

    Attributes:
        by: "all", "cut", "paper", or the name of a grouping.
        value: The cut, the paper's id, or the group; empty for all.
        papers: Papers with a score.
        screened: Those below the cut.
        lost: Those that full scoring calls positive and the cascade does not.
        gained: The other way round: none, as what is screened is below the threshold.
    """

    by: str
    value: str
    papers: int
    screened: int
    lost: int
    gained: int = 0


def table(measured: Measured, cut: float) -> Iterator[Row]:
    """Describe the changes by a cut: overall, by other cuts, by group, and the changed papers."""

    def count(by: str, value: str, rows: NDArray[np.bool_], at: float = cut) -> Row:
        below = rows & (measured.linear < at)
        return Row(by, value, int(rows.sum()), int(below.sum()), lost=int(np.sum(below & measured.called)))

    everything = np.ones(len(measured), dtype=np.bool_)
    yield count("all", "", everything)
    for at in FRONT.tolist():
        yield count("cut", f"{at:g}", everything, at)
    for by, values in measured.groups.items():
        column = np.array(values)
        for value in sorted(set(values)):
            yield count(by, value, column == value)
    for row in np.flatnonzero(measured.called & (measured.linear < cut)).tolist():
        yield count("paper", measured.ids[row], np.arange(len(measured)) == row)
