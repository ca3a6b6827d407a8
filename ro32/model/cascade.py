"""The cascade: most papers are scored by the linear view alone, and a certificate says how many labels that changes.

A paper whose log-odds by the linear view, l, are below the cut is never called positive; its score is

    P(positive) = 1 / (1 + exp(-(intercept + linear * l)))

and needs no encoder. docs/cascade.md explains the certificate, and what it rests on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ro32.errors import BundleError
from ro32.model.views import sigmoid


class CascadeMode(StrEnum):
    """Whether papers below the cut are scored by the linear view alone."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What was measured on papers that no model was trained on: cascade and full scoring, label by label.

    Attributes:
        papers: Papers with a score.
        screened: Those below the cut.
        lost: Those that full scoring calls positive and the cascade does not.
        gained: Those that the cascade calls positive and full scoring does not.
        max_share: Share of papers whose label may change, fixed before the cut was chosen.
        bound: Upper bound of that share at the cut, by the exact binomial distribution.
        confidence: Of the bound, 0 to 1.
        view: The view of the bundle that full scoring scored by.
        threshold: Its threshold.
        papers_sha256: Digest in hex of the file of papers.
        quality: Measures of both ways to score where the papers have categories, by name.
    """

    papers: int
    screened: int
    lost: int
    gained: int
    max_share: float
    bound: float
    confidence: float
    view: str
    threshold: float
    papers_sha256: str
    quality: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.changed <= self.papers or not 0 < self.screened <= self.papers:
            raise BundleError(
                f"a cascade's certificate counts {self.screened} screened and {self.changed} changed of {self.papers}"
            )
        if not 0 < self.bound <= self.max_share < 1:
            raise BundleError(f"a cascade's bound {self.bound} is not between 0 and the share {self.max_share}")

    @property
    def changed(self) -> int:
        """Papers whose label differs."""
        return self.lost + self.gained

    @property
    def screened_bound(self) -> float:
        """The bound as a share of the papers below the cut."""
        return min(1.0, self.bound * self.papers / self.screened)

    def allows(self, view: str | None, threshold: float) -> bool:
        """Tell whether it speaks of scoring by this view with this threshold.

        A higher threshold calls fewer papers positive, so fewer labels can get lost.
        """
        return view == self.view and threshold >= self.threshold


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Which papers the linear view alone decides, and how it scores them.

    Attributes:
        cut: Papers whose log-odds by the linear view are below are screened out.
        intercept: Log-odds of a score whose l is 0.
        linear: Weight of l, at least 0.
        certificate: What was measured.
    """

    cut: float
    intercept: float
    linear: float
    certificate: Certificate

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.cut, self.intercept, self.linear)) or self.linear < 0:
            raise BundleError(
                f"a cascade's numbers must be finite and its weight not negative, found cut {self.cut}, "
                f"intercept {self.intercept}, weight {self.linear}"
            )
        if self.probability(self.cut) >= self.certificate.threshold:
            raise BundleError(f"a paper below the cascade's cut {self.cut} would be called positive")

    def probability(self, linear: float) -> float:
        """Return the score of a paper below the cut, 0 to 1, given l."""
        return sigmoid(self.intercept + self.linear * linear)
