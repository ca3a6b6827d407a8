"""The combination: what is fitted is what generated the papers, and it is measured on papers it was not fitted on."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from export.card import plot_reliability
from ro32.model.metrics import precision_recall
from ro32.model.views import ViewName, log_odds
from ro32.refresh.combine import (
    CURVE_POINTS,
    Reliability,
    ViewScores,
    calibration_error,
    cross_fit,
    curves_csv,
    fit_view,
    judge_view,
    reliability,
)


@pytest.fixture(scope="module")
def scores() -> ViewScores:
    """40,000 papers, 3 % positive, whose log-odds are -6 + 0.8 e + 0.4 l by construction."""
    rng = np.random.default_rng(3)
    encoder, linear = rng.normal(0, 3, 40_000), rng.normal(-4, 2, 40_000)
    probability = 1 / (1 + np.exp(6 - 0.8 * encoder - 0.4 * linear))
    return ViewScores(positive=rng.random(40_000) < probability, encoder=encoder, linear=linear)


def test_the_fit_finds_what_generated_the_papers(scores: ViewScores) -> None:
    view, _ = fit_view(scores, ViewName.COMBINED)
    assert view.weights == pytest.approx((-6, 0.8, 0.4), abs=0.3)


def test_the_fit_is_scikit_learns(scores: ViewScores) -> None:
    view, _ = fit_view(scores, ViewName.COMBINED)
    columns = np.column_stack([scores.encoder, scores.linear])
    reference = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(columns, scores.positive)
    expected = (reference.intercept_[0], *reference.coef_[0])
    np.testing.assert_allclose(view.weights, expected, rtol=0, atol=1e-4)


def test_a_view_asks_only_its_own_model(scores: ViewScores) -> None:
    encoder, _ = fit_view(scores, ViewName.ENCODER)
    linear, _ = fit_view(scores, ViewName.LINEAR)
    assert encoder.linear == linear.encoder == 0.0
    assert encoder.encoder > 0
    assert linear.linear > 0


def test_two_views_are_better_than_either_and_calibrated(scores: ViewScores) -> None:
    both, encoder, linear = (judge_view(scores.positive, cross_fit(scores, name), scores.papers) for name in ViewName)
    assert both.average_precision > max(encoder.average_precision, linear.average_precision) + 0.01
    assert both.f1 > max(encoder.f1, linear.f1)
    assert max(view.calibration_error for view in (both, encoder, linear)) < 0.003


def test_the_threshold_is_that_of_the_best_f1(scores: ViewScores) -> None:
    view, curve = fit_view(scores, ViewName.COMBINED)
    assert view.threshold == curve.best_f1()[0]


def test_papers_that_separate_perfectly_give_finite_weights() -> None:
    positive = np.arange(100) >= 90
    log_odds_apart = np.where(positive, 5.0, -5.0)
    view, _ = fit_view(ViewScores(positive=positive, encoder=log_odds_apart, linear=log_odds_apart), ViewName.COMBINED)
    assert 0 < view.threshold < 1


def test_log_odds_undo_the_softmax() -> None:
    expected = np.linspace(-12, 8, 500)
    found = log_odds((1 / (1 + np.exp(-expected))).astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-4)
    assert np.isfinite(log_odds(np.array([0, 1], dtype=np.float32))).all()


def test_calibration_error_counts_gaps() -> None:
    truth = np.array([True, False, False, False])
    once = np.ones(4, dtype=np.int64)
    assert calibration_error(truth, np.full(4, 0.25), once) == 0
    assert calibration_error(truth, np.full(4, 0.75), once) == pytest.approx(0.5)


def test_curves_hold_points_by_rising_recall() -> None:
    rng = np.random.default_rng(0)
    curve = precision_recall(rng.random(5000) < 0.3, rng.random(5000))
    header, *lines = curves_csv({ViewName.LINEAR: curve}).decode().splitlines()
    recall = [float(line.split(",")[3]) for line in lines]
    assert header == "view,threshold,precision,recall"
    assert len(lines) <= CURVE_POINTS
    assert recall == sorted(recall)
    assert recall[-1] == 1.0


def test_reliability_compares_probabilities_with_what_came_true() -> None:
    truth = np.array([False, True, True, True])
    bins = reliability(truth, np.array([0.1, 0.11, 0.99, 1.0]), np.ones(4, dtype=np.int64))
    np.testing.assert_array_equal(bins.papers, [2, 2])
    np.testing.assert_allclose(bins.predicted, [0.105, 0.995], rtol=0, atol=1e-12)
    np.testing.assert_allclose(bins.observed, [0.5, 1.0], rtol=0, atol=1e-12)


def test_picture_of_reliability_is_the_same_again() -> None:
    bins = Reliability(papers=np.array([90, 10]), predicted=np.array([0.1, 0.8]), observed=np.array([0.1, 0.7]))
    picture = plot_reliability(bins, "cs.RO")
    assert picture.startswith(b"\x89PNG")
    assert plot_reliability(bins, "cs.RO") == picture


def test_a_weight_counts_like_so_many_papers(scores: ViewScores) -> None:
    weights = np.where(scores.positive, 2, 1).astype(np.int64)
    weights[::7] = 0
    rows = np.repeat(np.arange(len(scores)), weights)
    repeated = ViewScores(positive=scores.positive[rows], encoder=scores.encoder[rows], linear=scores.linear[rows])
    weighted = ViewScores(positive=scores.positive, encoder=scores.encoder, linear=scores.linear, weights=weights)
    (found, _), (expected, _) = (fit_view(each, ViewName.COMBINED) for each in (weighted, repeated))
    np.testing.assert_allclose(found.weights, expected.weights, rtol=0, atol=1e-6)
    assert found.threshold == pytest.approx(expected.threshold, abs=1e-3)
    probability = np.linspace(0, 1, len(scores))
    error = calibration_error(scores.positive, probability, weights)
    assert error == pytest.approx(calibration_error(repeated.positive, probability[rows], repeated.papers))
