"""What thresholds buy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ro32.evaluation.calibration import measure_calibration
from ro32.evaluation.ranking import Ranking, operating_points
from ro32.model.metrics import Confusion

papers = st.lists(
    st.tuples(st.booleans(), st.one_of(st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.floats(0, 1, width=32))), min_size=1
).filter(lambda pairs: any(listed for listed, _ in pairs))


def ranked(pairs: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray, Ranking]:
    listed, scores = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    return listed, scores, Ranking.of(listed, scores)


@given(papers, st.floats(0, 1))
def test_counts_at_a_threshold_are_those_of_the_decision(pairs: list[tuple[bool, float]], threshold: float) -> None:
    listed, scores, ranking = ranked(pairs)
    assert ranking.confusion_at(threshold) == Confusion.of(listed, scores >= threshold)


@given(papers, st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_the_threshold_of_a_precision_has_it_and_finds_the_most(pairs: list[tuple[bool, float]], target: float) -> None:
    listed, scores, ranking = ranked(pairs)
    others = [Confusion.of(listed, scores >= other) for other in np.unique(scores)]
    fitting = [item.tp for item in others if item.precision >= target and item.tp]
    threshold = ranking.threshold_of_precision(target)
    if threshold is None:
        assert not fitting
    else:
        found = ranking.confusion_at(threshold)
        assert found.precision >= target
        assert found.tp == max(fitting)


@given(papers, st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_the_threshold_of_a_recall_has_it_and_is_the_highest(pairs: list[tuple[bool, float]], target: float) -> None:
    listed, scores, ranking = ranked(pairs)
    threshold = ranking.threshold_of_recall(target)
    assert ranking.confusion_at(threshold).recall >= target
    higher = scores[scores > scores[scores >= threshold].min()]
    assert all(Confusion.of(listed, scores >= other).recall < target for other in higher)


@settings(max_examples=20, deadline=None)  # 300 thresholds with 2,000 resamples each time
@given(papers)
def test_operating_points_rise_and_are_counted_rightly(pairs: list[tuple[bool, float]]) -> None:
    listed, scores, ranking = ranked(pairs)
    points = operating_points(ranking, 0.123)
    assert (np.diff(points.thresholds) > 0).all()
    assert 0.123 in points.thresholds
    for at in (0, len(points.thresholds) // 2, -1):
        expected = Confusion.of(listed, scores >= points.thresholds[at])
        assert points.counts[at].tolist() == [expected.tp, expected.fp, expected.fn, expected.tn]
    assert (points.low <= points.high).all()


@given(papers)
def test_every_paper_is_in_one_bin(pairs: list[tuple[bool, float]]) -> None:
    listed, scores, ranking = ranked(pairs)
    found = measure_calibration(listed, scores)
    assert sum(part.papers for part in found.bins) == len(listed)
    assert sum(part.listed for part in found.bins) == listed.sum()
    assert found.mean_score == pytest.approx(scores.mean(), abs=1e-12)
    counts = ranking.histogram()
    assert (sum(counts[0]), sum(counts[1])) == (listed.sum(), len(listed) - listed.sum())
    for part in found.bins:
        assert part.mean_score is None or part.start - 1e-9 <= part.mean_score <= part.end + 1e-9
