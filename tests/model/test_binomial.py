"""Exact bounds of a share: those of scipy, and never below the truth more often than they say."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from ro32.model.binomial import p_value, upper_bound


@pytest.mark.parametrize(("found", "papers"), [(0, 1), (0, 88_785), (3, 88_785), (1, 10), (9, 10), (120, 2_500_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_the_bound_is_that_of_clopper_and_pearson(found: int, papers: int, confidence: float) -> None:
    expected = beta.ppf(confidence, found + 1, papers - found)
    assert upper_bound(found, papers, confidence) == pytest.approx(expected, rel=1e-6)


@settings(deadline=None)
@given(found=st.integers(0, 40), more=st.integers(0, 3000), share=st.floats(1e-6, 0.2))
def test_the_p_value_is_that_of_the_binomial_distribution(found: int, more: int, share: float) -> None:
    expected = binom.sf(found - 1, found + more, share)
    assert p_value(found, found + more, share) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("papers", "share"), [(50, 0.1), (1000, 0.003)])
def test_the_bound_holds_as_often_as_it_says(papers: int, share: float) -> None:
    """Over all draws there are, not some."""
    held = sum(binom.pmf(found, papers, share) for found in range(100) if upper_bound(found, papers, 0.95) >= share)
    assert held >= 0.95


def test_of_no_papers_nothing_is_known() -> None:
    assert upper_bound(0, 0, 0.95) == 1.0
    assert upper_bound(7, 7, 0.95) == 1.0
    assert p_value(0, 0, 0.1) == 1.0
    assert p_value(1, 1000, 0.0) == 0.0
