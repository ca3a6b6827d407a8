"""The measures, against the original's card and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn import metrics as reference

from ro32.model.metrics import Confusion, average_precision, precision_recall


def test_the_originals_card_is_reproduced_to_all_digits() -> None:
    counts = Confusion(tp=2345, fp=450, fn=703, tn=230855)
    assert counts.accuracy == 0.9950800715160463
    assert counts.f1 == 0.8026698613725826
    assert counts.precision == 0.8389982110912343
    assert counts.recall == 0.7693569553805775


def test_nothing_found_is_zero_not_an_error() -> None:
    nothing = Confusion(tp=0, fp=0, fn=0, tn=0)
    assert (nothing.accuracy, nothing.f1, nothing.precision, nothing.recall) == (0, 0, 0, 0)


decisions = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.5000001, 0.9, 1.0])), min_size=1
).filter(lambda pairs: any(truth for truth, _ in pairs))


@given(decisions)
def test_curve_agrees_with_scikit_learn(pairs: list[tuple[bool, float]]) -> None:
    truth, scores = (np.array(column) for column in zip(*pairs, strict=True))
    curve = precision_recall(truth, scores)
    precision, recall, thresholds = reference.precision_recall_curve(truth, scores)
    assert_allclose(curve.thresholds, thresholds[::-1], rtol=0, atol=0)
    assert_allclose(curve.precision, precision[-2::-1], rtol=0, atol=1e-15)
    assert_allclose(curve.recall, recall[-2::-1], rtol=0, atol=1e-15)
    assert_allclose(
        average_precision(truth, scores), reference.average_precision_score(truth, scores), rtol=0, atol=1e-12
    )


@given(decisions)
def test_best_threshold_gives_the_best_f1(pairs: list[tuple[bool, float]]) -> None:
    truth, scores = (np.array(column) for column in zip(*pairs, strict=True))
    threshold, best = precision_recall(truth, scores).best_f1()
    assert_allclose(Confusion.of(truth, scores >= threshold).f1, best, rtol=0, atol=1e-12)
    for other in np.unique(scores):
        assert Confusion.of(truth, scores >= other).f1 <= best + 1e-12


def test_without_positives_there_is_no_curve() -> None:
    with pytest.raises(ValueError, match="no positive paper"):
        precision_recall(np.array([False]), np.array([0.5]))
