"""The cascade: the linear view alone scores most papers, and a certificate bounds the labels that this changes.

A paper whose log-odds by the linear view, l, are below the cut gets the score

    P(positive) = 1 / (1 + exp(-(intercept + linear * l)))

and needs no encoder, but for a sample: papers with the lowest content hashes are also scored in full, so that
every run can compare both. All of it is a function of the paper and the bundle: neighbours, order, threads and
threshold play no part. docs/cascade.md explains the certificate, and what it rests on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ro32.errors import BundleError
from ro32.model.fields import check_types
from ro32.model.outcomes import Hashes
from ro32.model.text_form import TextForm
from ro32.model.views import sigmoid

AUDIT_SHARE = 0.005
"""Of the papers below the cut: 12,000 of a dump of 2.5 million, which costs a quarter of what the encoder does then."""


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
        papers_sha256: Digest in hex of the file of papers; of their ids, one a line, where a refresh drew them.
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
        check_types(self)
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

    def covers(self, threshold: float) -> bool:
        """Whether it speaks of this threshold, or of a lower one: a higher threshold loses fewer positive papers."""
        return threshold >= self.threshold


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Which papers the linear view alone decides, and how it scores them.

    Attributes:
        cut: Papers whose log-odds by the linear view are below are screened out.
        intercept: Log-odds of a score whose l is 0.
        linear: Weight of l, at least 0.
        certificate: What was measured.
        audit_share: Share of the papers below the cut that are also scored in full, 0 to 1.
    """

    cut: float
    intercept: float
    linear: float
    certificate: Certificate
    audit_share: float = AUDIT_SHARE

    def __post_init__(self) -> None:
        check_types(self)
        if self.linear < 0:
            raise BundleError(f"a cascade's weight must not be negative, found {self.linear}")
        if not 0 <= self.audit_share <= 1:
            raise BundleError(f"a cascade's share of audited papers {self.audit_share} is not between 0 and 1")
        if self.probability(self.cut) >= self.certificate.threshold:
            raise BundleError(f"a paper below the cascade's cut {self.cut} would be called positive")

    def probability(self, linear: float) -> float:
        """Return the score of a paper below the cut, 0 to 1, given l."""
        return sigmoid(self.intercept + self.linear * linear)

    @property
    def scoring(self) -> tuple[float, float, float, float]:
        """All that a score depends on: cut, intercept, weight of l, share of audited papers."""
        return self.cut, self.intercept, self.linear, self.audit_share

    def below(
        self, titles: Sequence[str], abstracts: Sequence[str], linear: NDArray[np.float64], form: TextForm
    ) -> NDArray[np.bool_]:
        """Return which of n papers of normalized text are below the cut and surely have a token of text; shape (n,)."""
        found = linear < self.cut
        rows = np.flatnonzero(found).tolist()
        found[rows] = form.surely_have_tokens([titles[row] for row in rows], [abstracts[row] for row in rows])
        return found

    def audited(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Return which of n papers, if below the cut, are audited: those of the lowest content hashes; shape (n,)."""
        leading = np.ascontiguousarray(hashes).view(">u8").reshape(len(hashes), 2)[:, 0]
        return np.asarray((leading >> np.uint64(64 - 53)) < self.audit_share * 2.0**53)  # float64 holds 53 bits
