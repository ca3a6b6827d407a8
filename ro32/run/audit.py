"""The audit of a cascade: does a sample of today's screened papers agree with the bundle's certificate?

Only a contradiction that chance would not produce is reported: a sample of some hundred papers cannot show that one
label in ten thousand changes, but it does show when one in a hundred does.
"""

from dataclasses import dataclass

from ro32.model.binomial import p_value, upper_bound
from ro32.run.drift import SIGNIFICANCE


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Papers below the cut that were also scored in full, and how many of them got another label than by the screen.

    `confidence` is that of the bound; `allowed` is the share of disagreements that the certificate leaves possible.
    """

    papers: int
    disagreements: int
    confidence: float
    allowed: float

    @property
    def bound(self) -> float:
        """The largest share of disagreements that is still credible."""
        return upper_bound(self.disagreements, self.papers, self.confidence)

    @property
    def p_value(self) -> float:
        """How probable so many disagreements are if the certificate holds for these papers."""
        return p_value(self.disagreements, self.papers, self.allowed)

    @property
    def exceeded(self) -> bool:
        """Whether the certificate does not hold for these papers."""
        return self.p_value < SIGNIFICANCE
