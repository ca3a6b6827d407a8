"""The exact binomial test, and the exact upper bound of a share, without scipy."""

import math

_BISECTIONS = 200
"""Halvings of an interval of at most 1: more than float64 can tell apart."""


def upper_bound(found: int, papers: int, confidence: float) -> float:
    """Return the largest share that is still credible after `found` of `papers` were found; 1 where none was drawn.

    One-sided: whatever the true share is, the bound is below it in at most 1 - confidence of all draws.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26, 1934, https://doi.org/10.1093/biomet/26.4.404
    """
    low, high = 0.0, 1.0
    if found >= papers:
        return high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _at_most(found, papers, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def p_value(found: int, papers: int, share: float) -> float:
    """Return the p-value of a count: the probability of at least as many papers if the true share is this, 0 to 1."""
    return 1.0 if found == 0 else min(1.0, max(0.0, 1 - _at_most(found - 1, papers, share)))


def _at_most(found: int, papers: int, share: float) -> float:
    """Return the probability of at most so many."""
    if share <= 0 or found >= papers:
        return 1.0
    if share >= 1:
        return 0.0
    present, absent = math.log(share), math.log1p(-share)
    ways = math.lgamma(papers + 1)
    return math.fsum(
        math.exp(
            ways
            - math.lgamma(count + 1)
            - math.lgamma(papers - count + 1)
            + count * present
            + (papers - count) * absent
        )
        for count in range(found + 1)
    )
