"""The operating point: the threshold for the positive label, and the band of scores without a label."""

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ro32.errors import BundleError, UsageError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CURVES, Manifest


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """What a threshold was worth on the papers that the bundle was validated with."""

    threshold: float
    precision: float
    recall: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How scores become labels.

    Attributes:
        threshold: A paper gets the positive label when its score is at least this.
        abstain: Scores from the first of these up to, and not including, the second get no label.
        chosen_by: "bundle", "threshold", "target_precision" or "target_recall".
        target: The number that was asked for.
        validated: What the bundle's curve says of the threshold, where that was looked up in it.
    """

    threshold: float
    abstain: tuple[float, float] | None = None
    chosen_by: str = "bundle"
    target: float | None = None
    validated: CurvePoint | None = None

    @property
    def lowest(self) -> float:
        """The lowest score that does not simply get the negative label."""
        return self.threshold if self.abstain is None else self.abstain[0]

    def positive(self, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of n scores get the positive label; NaN never does."""
        return (scores.astype(np.float64) >= self.threshold) & ~self.uncertain(scores)

    def uncertain(self, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of n scores get no label although they are scores."""
        if self.abstain is None:
            return np.zeros(len(scores), dtype=np.bool_)
        low, high = self.abstain
        exact = scores.astype(np.float64)
        return (low <= exact) & (exact < high)


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What is asked for: at most one of threshold and targets, and with it or alone a band of scores without a label.

    A target is reached with the most of the other measure that goes with it.
    """

    threshold: float | None = None
    target_precision: float | None = None
    target_recall: float | None = None
    abstain: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, value in self._asked().items():
            if not 0 < value <= 1:
                raise UsageError(f"expected a {name.replace('_', ' ')} above 0 and at most 1, found {value}")
        if len(self._asked()) > 1:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in self._asked())
            raise UsageError(f"expected one way to choose the threshold, found {names}; give one of them")
        if self.abstain is not None and not 0 <= self.abstain[0] < self.abstain[1] <= 1:
            low, high = self.abstain
            raise UsageError(f"expected a band of scores LOW:HIGH with 0 <= LOW < HIGH <= 1, found {low:g}:{high:g}")

    @classmethod
    def parse_band(cls, text: str) -> tuple[float, float]:
        """Read a band of scores, "LOW:HIGH"; raise UsageError if it is none."""
        low, _, high = text.partition(":")
        try:
            return float(low), float(high)
        except ValueError as error:
            raise UsageError(f"expected a band of scores as in 0.2:0.7, found {text!r}") from error

    def _asked(self) -> dict[str, float]:
        names = ("threshold", "target_precision", "target_recall")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def resolve(self, bundle: Bundle, manifest: Manifest) -> Decision:
        """Find the threshold, given a bundle with curves, and its manifest with the view that scores.

        Raises:
            UsageError: The curve is not there or never reaches the target, or the threshold is not in the band.
            BundleError: The curves are not what they should be.
        """
        chosen_by, target = next(iter(self._asked().items()), ("bundle", None))
        validated = None
        threshold = manifest.threshold if target is None else target
        if target is not None and chosen_by != "threshold":
            validated = _look_up(_curve(bundle, manifest), chosen_by.removeprefix("target_"), target, manifest.name)
            threshold = validated.threshold
        if self.abstain is not None and not self.abstain[0] <= threshold <= self.abstain[1]:
            low, high = self.abstain
            raise UsageError(
                f"the threshold {threshold:.4f} is not in the band {low:g}:{high:g} of scores without a label; "
                "name a band around it, or another threshold"
            )
        return Decision(
            threshold=threshold, abstain=self.abstain, chosen_by=chosen_by, target=target, validated=validated
        )


def _curve(bundle: Bundle, manifest: Manifest) -> list[CurvePoint]:
    """Return the curve of the view that scores, by rising recall."""
    if bundle.curves is None:
        raise UsageError(f"bundle {manifest.name}: it has no {CURVES} to find a target in; name a --threshold")
    names = ("threshold", "precision", "recall")
    try:
        rows = csv.DictReader(io.StringIO(bundle.curves.decode()))
        points = [
            CurvePoint(**{name: float(row[name]) for name in names}) for row in rows if row["view"] == manifest.view
        ]
    except (csv.Error, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"bundle {manifest.name}: {CURVES} cannot be read ({error}); export it again") from error
    if not points:
        raise BundleError(
            f"bundle {manifest.name}: {CURVES} has no curve of the view {manifest.view!r}; export it again"
        )
    return points


def _look_up(curve: list[CurvePoint], measure: str, target: float, name: str) -> CurvePoint:
    """Return the point that reaches a target at the least cost of the other measure."""
    other = "recall" if measure == "precision" else "precision"
    reaching = [point for point in curve if getattr(point, measure) >= target]
    if not reaching:
        best = max(getattr(point, measure) for point in curve)
        raise UsageError(
            f"bundle {name}: no threshold reached a {measure} of {target:g} when it was validated, at most {best:.4f}; "
            "ask for less, or name a --threshold"
        )
    return max(reaching, key=lambda point: (getattr(point, other), getattr(point, measure), point.threshold))
