"""Intervals, against scipy's bootstrap and against the truth that they claim to hold."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats

from ro32.evaluation import intervals
from ro32.evaluation.calibration import measure_calibration, wilson
from ro32.evaluation.comparison import compare
from ro32.evaluation.intervals import DECISIONS, Estimate, estimate_decisions
from ro32.evaluation.ranking import Ranking
from ro32.evaluation.scores import Scores
from ro32.model.metrics import Confusion, average_precision

MONTE_CARLO = 0.12
"""Share of an interval's width by which two sets of 2,000 resamples may place its ends differently."""


def make(count: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Make papers whose scores are calibrated: a paper with score s is listed with probability s."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.08, 0.9, count).round(6)
    return rng.random(count) < scores, scores


def bootstrap(data: tuple[NDArray[np.generic], ...], statistic: object, method: str = "BCa") -> Estimate:
    """Let scipy make an interval by drawing papers."""
    found = stats.bootstrap(
        data,
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=2_000,
        method=method,
        rng=np.random.default_rng(1),
    ).confidence_interval
    return Estimate(value=0.0, low=float(found.low), high=float(found.high))


def assert_same_interval(found: Estimate, expected: Estimate) -> None:
    atol = MONTE_CARLO * (expected.high - expected.low)
    assert_allclose([found.low, found.high], [expected.low, expected.high], rtol=0, atol=atol)


def test_decisions_have_scipys_intervals() -> None:
    listed, scores = make(800, seed=3)
    called = scores >= 0.4
    counts = Confusion.of(listed, called)
    found = estimate_decisions(np.array([[counts.tp, counts.fp, counts.fn, counts.tn]]))[0]
    for name in DECISIONS:
        expected = bootstrap((listed, called), lambda a, b, name=name: getattr(Confusion.of(a, b), name))
        assert found[name].value == pytest.approx(getattr(counts, name), abs=1e-15)
        assert_same_interval(found[name], expected)


def test_average_precision_has_the_value_of_the_curve_and_scipys_interval() -> None:
    listed, scores = make(600, seed=4)
    scores = scores.round(2)  # many papers share a score
    found = Ranking.of(listed, scores).average_precision()
    assert found.value == pytest.approx(average_precision(listed, scores), abs=1e-12)
    assert_same_interval(found, bootstrap((listed, scores), lambda a, b: average_precision(a > 0, b)))


def test_calibration_error_has_scipys_interval() -> None:
    listed, scores = make(600, seed=5)

    def error(a: NDArray[np.bool_], b: NDArray[np.float64]) -> float:
        bins = np.minimum((b * 15).astype(int), 14)
        return sum(abs(float((a[bins == at] - b[bins == at]).sum())) for at in range(15)) / len(a)

    found = measure_calibration(listed, scores).error
    assert found.value == pytest.approx(error(listed, scores), abs=1e-12)
    expected = bootstrap((listed, scores), error, method="basic")
    width = expected.high - expected.low
    assert_allclose(found.high, expected.high, rtol=0, atol=MONTE_CARLO * width)
    assert_allclose(found.low, max(expected.low, 0.0), rtol=0, atol=MONTE_CARLO * width)


def test_differences_are_of_the_same_papers() -> None:
    """Two models that agree on most papers differ by less than their own intervals are wide."""
    listed, first = make(800, seed=6)
    second = np.clip(first + np.random.default_rng(7).normal(0, 0.05, len(first)), 0, 1)
    models = [
        Scores(name=name, source=name, digest=None, threshold=0.4, values=values.astype(np.float32))
        for name, values in (("a", first), ("b", second))
    ]
    found = compare(listed, *models)
    assert found is not None

    def difference(truth: NDArray[np.bool_], a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
        return Confusion.of(truth, b).f1 - Confusion.of(truth, a).f1

    calls = [item.values.astype(np.float64) >= 0.4 for item in models]
    assert found.differences["f1"].value == pytest.approx(difference(listed, *calls), abs=1e-12)
    assert_same_interval(found.differences["f1"], bootstrap((listed, *calls), difference))
    assert found.better + found.worse == len(found.flips) == int(np.sum(calls[0] != calls[1]))
    assert found.better - found.worse == int(np.sum(calls[1] == listed)) - int(np.sum(calls[0] == listed))


def test_intervals_are_the_same_each_time() -> None:
    listed, scores = make(300, seed=8)
    assert Ranking.of(listed, scores).average_precision() == Ranking.of(listed, scores).average_precision()
    assert measure_calibration(listed, scores) == measure_calibration(listed, scores)


def test_papers_that_are_counted_in_any_order_give_the_same_interval() -> None:
    listed, scores = make(300, seed=9)
    order = np.random.default_rng(0).permutation(300)
    assert (
        Ranking.of(listed, scores).average_precision() == Ranking.of(listed[order], scores[order]).average_precision()
    )


def test_average_precision_of_one_listed_paper_has_an_interval() -> None:
    """A third of the resamples have no listed paper, and so no average precision."""
    found = Ranking.of(np.array([True, False, False]), np.array([0.5, 0.9, 0.1])).average_precision()
    assert found.value == 0.5
    assert 0 < found.low <= 0.5 <= found.high <= 1


def test_many_counts_are_drawn_in_pieces_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, scores = make(300, seed=10)
    whole = Ranking.of(listed, scores).average_precision()
    monkeypatch.setattr(intervals, "_DRAWN_AT_ONCE", 1_000)
    assert Ranking.of(listed, scores).average_precision() == whole


def test_wilsons_interval_is_scipys() -> None:
    for part, whole in ((0, 5), (5, 5), (3, 17), (500, 1_000)):
        expected = stats.binomtest(part, whole).proportion_ci(method="wilson")
        assert_allclose(wilson(part, whole), (expected.low, expected.high), rtol=0, atol=1e-12)


@pytest.mark.full
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 300 samples of 3,000 papers, at least 90 % have F1 and average precision inside their intervals."""
    listed, scores = make(400_000, seed=11)
    truth = {"f1": Confusion.of(listed, scores >= 0.4).f1, "average_precision": average_precision(listed, scores)}
    held = dict.fromkeys(truth, 0)
    rng = np.random.default_rng(12)
    for _ in range(300):
        at = rng.integers(0, len(listed), 3_000)
        ranking = Ranking.of(listed[at], scores[at])
        found = {
            "f1": estimate_decisions(ranking.counts_at(np.array([0.4])))[0]["f1"],
            "average_precision": ranking.average_precision(),
        }
        for name, item in found.items():
            held[name] += item.low <= truth[name] <= item.high
    assert min(held.values()) >= 270
