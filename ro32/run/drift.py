"""Drift: did the share of positive papers change significantly, and by more than a given bound?

Two conditions, and both must hold. The bound (absolute, in share) says what would matter to somebody; with millions of
papers everything is significant. The test says what chance could not have done; with a few hundred papers every
share moves.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

DEFAULT_MAX_DRIFT = 0.005
"""Half a percentage point; of the papers that the original ro-32 was judged by, 1.3 % are in cs.RO."""
SIGNIFICANCE = 0.001
"""How probable a change may be, by chance alone, and still be believed: one false alarm in a thousand nights."""
_DIGITS = 12
"""Decimal places of a difference of shares that rounding leaves as they are."""
_MOST_PAPERS = 1 << 40
"""More than there are, and few enough for the test."""
_NEGLIGIBLE = 1e-17
"""What is smaller, by this factor, than a sum of float64 does not change it."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """Papers with a score, and how many of them are positive."""

    positives: int
    papers: int

    @classmethod
    def from_footer(cls, provenance: Mapping[str, Any]) -> Self | None:
        """Read the share from the footer of a labels file; None if it has none."""
        try:
            rows = provenance["rows"]
            share = cls(positives=int(rows["positives"]), papers=int(rows["rows"] - sum(rows["unscored"].values())))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return None
        return share if 0 <= share.positives <= share.papers < _MOST_PAPERS else None

    @property
    def value(self) -> float:
        """The share, 0 to 1; 0 of no papers."""
        return self.positives / self.papers if self.papers else 0.0


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The share of positives of this run and of the labels before it. A change up to the bound is no drift."""

    now: Share
    before: Share
    bound: float

    @property
    def change(self) -> float:
        """Share now less share before."""
        return self.now.value - self.before.value

    @property
    def p_value(self) -> float:
        """How probable so large a difference is if both were drawn at random from the same papers.

        Nightly runs share most of their papers, which makes the true probability smaller still: an alarm is not false
        for that reason.
        """
        return fisher_exact(self.now, self.before)

    @property
    def exceeded(self) -> bool:
        """Whether both the bound and chance are exceeded."""
        return round(abs(self.change), _DIGITS) > self.bound and self.p_value < SIGNIFICANCE


def fisher_exact(one: Share, other: Share) -> float:
    """Test whether two shares differ: twice the smaller tail of the hypergeometric distribution, at most 1.

    Source: R. A. Fisher, Statistical Methods for Research Workers, 1934, section 21.02.
    """
    papers, positives = one.papers + other.papers, one.positives + other.positives
    lowest, highest = max(0, positives - other.papers), min(positives, one.papers)

    below = one.positives * papers < one.papers * positives
    tail = 0.0
    for found in range(one.positives, lowest - 1, -1) if below else range(one.positives, highest + 1):
        ways = _log_choose(one.papers, found) + _log_choose(other.papers, positives - found)
        probability = math.exp(ways - _log_choose(papers, positives))
        tail += probability
        if probability <= tail * _NEGLIGIBLE:
            break
    return min(1.0, 2 * tail)


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
