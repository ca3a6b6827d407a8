"""The division of a dump: no paper is trained on and judged, memory is bounded, and a sample speaks for all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ro32.refresh.census import Census
from ro32.refresh.held_out import choose_scored, divide


def census(papers: int, seed: int = 1) -> Census:
    rng = np.random.default_rng(seed)
    return Census(
        latest=rng.random(papers) < 0.95,
        positive=rng.random(papers) < 0.1,
        month=rng.integers(24_240, 24_300, papers).astype(np.int32),
        draw=rng.random(papers),
    )


def test_no_paper_serves_for_two_things() -> None:
    found = census(10_000)
    parts = divide(found, since=24_276, share=0.2, most_training=10**6, most_held_out=10**6, enough=0)
    assert not (parts.training & parts.held_out).any()
    assert (parts.recent == parts.held_out).all()
    assert (found.month[parts.recent] >= 24_276).all()
    assert (found.draw[parts.held_out] < 0.2).all()
    assert (found.draw[parts.training] >= 0.2).all()
    assert found.latest[parts.training | parts.held_out].all()
    assert (parts.weight == 1).all()


def test_the_newest_of_the_older_papers_join_where_too_few_are_new() -> None:
    found = census(10_000)
    parts = divide(found, since=24_295, share=0.2, most_training=10**6, most_held_out=10**6, enough=1_000)
    assert parts.held_out.sum() == 1_000
    older = found.month[parts.held_out & ~parts.recent]
    assert older.max() == 24_294
    assert older.min() >= 24_262  # a thousand of 2,000 held-out papers are those of the newer half


def test_what_is_left_out_of_training_is_spoken_for() -> None:
    found = census(10_000)
    whole = divide(found, since=24_276, share=0.2, most_training=10**6, most_held_out=50, enough=0)
    parts = divide(found, since=24_276, share=0.2, most_training=2_000, most_held_out=50, enough=0)
    assert (parts.held_out.sum(), parts.training.sum()) == (50, 2_000)
    positives = whole.training & found.positive
    assert (parts.training & found.positive == positives).all()
    assert parts.weight[parts.training].sum() == pytest.approx(whole.training.sum())
    assert (parts.weight[positives] == 1).all()


def test_positives_that_are_left_out_of_training_are_spoken_for_too() -> None:
    found = census(10_000)
    whole = divide(found, since=24_276, share=0.2, most_training=10**6, most_held_out=50, enough=0)
    parts = divide(found, since=24_276, share=0.2, most_training=1_000, most_held_out=50, enough=0)
    for kind in (found.positive, ~found.positive):
        assert (parts.training & kind).sum() == 500
        assert parts.weight[parts.training & kind].sum() == pytest.approx((whole.training & kind).sum())


@given(papers=st.integers(2, 400), hard=st.integers(0, 50), random=st.integers(0, 400), seed=st.integers(0, 99))
def test_a_sample_speaks_for_all(papers: int, hard: int, random: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, hardness, draw = rng.random(papers) < 0.2, rng.random(papers), rng.random(papers)
    rows, counts = choose_scored(positive, hardness, draw, hard=hard, random=random)
    assert counts.sum() == papers
    assert set(np.flatnonzero(positive)) <= set(rows)
    assert (counts[positive[rows]] == 1).all()
    assert (np.diff(rows) > 0).all()
