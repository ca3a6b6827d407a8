"""Training the linear view: what it learns, what rounding costs, and that scoring agrees with scikit-learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from ro32.errors import InputDataError
from ro32.model.metrics import average_precision
from ro32.model.text import normalize
from ro32.train.dump import Dump
from ro32.train.fit_linear import (
    FeatureMatrix,
    LinearRecipe,
    add_negatives,
    feature_scales,
    fit,
    fit_exactly,
    read_features,
    round_weights,
    score_features,
)

RECIPE = LinearRecipe(min_papers=2)


@pytest.fixture(scope="module")
def halves(papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("halves")
    paths = folder / "train.parquet", folder / "held_out.parquet"
    for at, path in enumerate(paths):
        pl.read_parquet(papers_path).gather_every(2, offset=at).write_parquet(path)
    return paths


@pytest.fixture(scope="module")
def training(halves: tuple[Path, Path]) -> FeatureMatrix:
    return read_features(Dump.open(halves[0]), "cs.RO")


@pytest.fixture(scope="module")
def held_out(halves: tuple[Path, Path]) -> FeatureMatrix:
    return read_features(Dump.open(halves[1]), "cs.RO")


def test_it_learns_from_a_thousand_papers(training: FeatureMatrix, held_out: FeatureMatrix) -> None:
    scores = score_features(fit(training, RECIPE), held_out)
    assert average_precision(held_out.positive, scores) > 0.9  # 16 % of these papers are positive


def test_the_fit_is_scikit_learns(training: FeatureMatrix, held_out: FeatureMatrix) -> None:
    weights, bias = fit_exactly(training, RECIPE)
    scales = feature_scales(training, RECIPE)
    fitted = np.flatnonzero(scales)
    scaling = sparse.diags(scales[fitted])
    regression = LogisticRegression(C=RECIPE.inverse_regularization, tol=1e-6, max_iter=1000)
    regression.fit(training.present[:, fitted] @ scaling, training.positive)
    expected = regression.decision_function(held_out.present[:, fitted] @ scaling)
    np.testing.assert_allclose(held_out.present @ weights + bias, expected, rtol=0, atol=0.05)


def test_rounding_costs_what_it_may(training: FeatureMatrix) -> None:
    weights, bias = fit_exactly(training, RECIPE)
    model = fit(training, replace(RECIPE, features=len(weights)))
    exact = training.present @ weights + bias
    # Each of a paper's weights is rounded by half a unit at most, and features count by 1 / sqrt(their number).
    most_features = np.diff(training.present.indptr).max()
    np.testing.assert_allclose(
        score_features(model, training), exact, rtol=0, atol=0.5 * model.scale * np.sqrt(most_features) + 1e-5
    )


def test_score_features_are_the_models_scores(training: FeatureMatrix, halves: tuple[Path, Path]) -> None:
    model = fit(training, RECIPE)
    frame = pl.read_parquet(halves[0]).select(normalize(pl.col("title", "abstract")))
    scores = model.scores(frame["title"].to_list(), frame["abstract"].to_list())
    np.testing.assert_allclose(score_features(model, training), scores, rtol=0, atol=1e-5)


def test_the_same_papers_give_the_same_bytes(training: FeatureMatrix) -> None:
    assert fit(training, RECIPE).to_bytes() == fit(training, RECIPE).to_bytes()


def test_pruning_keeps_as_many_weights_as_asked(training: FeatureMatrix) -> None:
    weights, _ = fit_exactly(training, RECIPE)
    rounded, _ = round_weights(training, weights, 500)
    assert 400 < np.count_nonzero(rounded) <= 500
    assert np.abs(rounded.astype(np.int64)).max() == 32767


def test_papers_are_negative_whatever_they_are(
    training: FeatureMatrix, halves: tuple[Path, Path], tmp_path: Path
) -> None:
    robots = pl.read_parquet(halves[1]).filter(pl.col("categories").str.contains("cs.RO", literal=True)).head(40)
    robots.select("id", "title", "abstract").write_parquet(tmp_path / "negatives.parquet")
    more = add_negatives(training, Dump.open(tmp_path / "negatives.parquet", labelled=False))
    assert more.present.shape[0] == len(more.positive) == len(training.positive) + 40
    assert not more.positive[-40:].any()
    before, after = (score_features(fit(papers, RECIPE), more)[-40:] for papers in (training, more))
    assert (after < before).mean() > 0.9


def test_a_category_that_nobody_lists_is_refused(halves: tuple[Path, Path]) -> None:
    with pytest.raises(InputDataError, match="only one kind"):
        read_features(Dump.open(halves[0]), "cs.XX")


def test_papers_without_a_common_word_are_refused(training: FeatureMatrix) -> None:
    with pytest.raises(InputDataError, match="learn from more papers"):
        fit(training, replace(RECIPE, min_papers=10_000))


def test_papers_may_have_weights(training: FeatureMatrix, held_out: FeatureMatrix) -> None:
    """Positive papers that count three times draw all scores up."""
    recipe = LinearRecipe(features=20_000)
    plain = score_features(fit(training, recipe), held_out)
    raised = score_features(fit(training, recipe, np.where(training.positive, 3.0, 1.0)), held_out)
    assert raised.mean() > plain.mean()


def test_a_dump_can_be_read_without_its_texts(halves: tuple[Path, Path]) -> None:
    dump = Dump.open(halves[0])
    with_texts, without = (pl.concat(dump.frames(texts=texts)) for texts in (True, False))
    assert without.equals(with_texts.drop("title", "abstract"))
    assert set(with_texts.columns) - set(without.columns) == {"title", "abstract"}
