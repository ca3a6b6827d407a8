"""The comparison: what is better is found to be, what is as good is not, as often as it says."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from ro32.refresh.combine import Verdicts
from ro32.refresh.contest import compare_bundles


def verdicts(positive: NDArray[np.bool_], skill: float, seed: int) -> Verdicts:
    score = skill * positive + np.random.default_rng(seed).normal(0, 1, len(positive))
    return Verdicts(score=score, called=score > skill / 2 + 1)


def test_a_better_bundle_is_found_and_a_worse_one_is_not() -> None:
    positive = np.arange(3_000) % 10 == 0
    counts = np.ones(3_000, dtype=np.int64)
    good, bad = verdicts(positive, 3.0, 1), verdicts(positive, 2.0, 2)
    assert compare_bundles(positive, counts, bad, good).better
    assert not compare_bundles(positive, counts, good, bad).better
    same = compare_bundles(positive, counts, good, good)
    assert not same.better
    assert all(item.low == item.high == 0 for item in same.difference.values())


@pytest.mark.parametrize("draws", [10, pytest.param(60, marks=pytest.mark.full)])
def test_chance_is_seldom_taken_for_progress(draws: int) -> None:
    positive = np.arange(400) % 8 == 0
    counts = np.ones(400, dtype=np.int64)
    wrong = sum(
        compare_bundles(positive, counts, verdicts(positive, 2.0, 2 * at), verdicts(positive, 2.0, 2 * at + 1)).better
        for at in range(draws)
    )
    assert binom.sf(wrong - 1, draws, 0.05) > 0.001


def test_papers_that_speak_for_others_count_as_often() -> None:
    positive = np.array([True, True, False, False])
    score = np.array([0.9, 0.4, 0.6, 0.1])
    item = Verdicts(score=score, called=score > 0.5)
    found = compare_bundles(positive, np.array([1, 1, 1, 7]), item, item)
    assert (found.papers, found.positives) == (10, 2)
    assert found.new["precision"] == found.new["recall"] == 0.5
    assert found.new["average precision"] == pytest.approx(0.5 + 0.5 * 2 / 3)
    thrice = compare_bundles(positive, np.array([1, 1, 3, 5]), item, item)
    assert thrice.new["precision"] == 0.25
    assert "10 held-out papers, 2 positive" in found.table()
