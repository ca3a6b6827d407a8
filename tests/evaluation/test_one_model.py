"""All that is measured of a model, against scikit-learn and Polars."""

import math
from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as reference

from ro32.data import parquet
from ro32.errors import InputDataError, TryAgainError
from ro32.evaluation.intervals import DECISIONS
from ro32.evaluation.one_model import Evaluation, evaluate
from ro32.evaluation.results import evaluate_models, read_shown
from ro32.evaluation.scores import Scores, read_scores, with_distinct_names
from ro32.evaluation.slices import Dimension
from ro32.evaluation.truth import Truth, TruthColumns, read_truth


@pytest.fixture(scope="module")
def truth(papers_path: Path) -> Truth:
    return read_truth([str(papers_path)], "cs.RO")


@pytest.fixture(scope="module")
def scores(tiny_labels: Path, truth: Truth) -> Scores:
    return read_scores(tiny_labels, truth)


@pytest.fixture(scope="module")
def evaluation(truth: Truth, scores: Scores) -> Evaluation:
    return evaluate(truth, scores)


@pytest.fixture(scope="module")
def frame(papers_path: Path, tiny_labels: Path, scores: Scores) -> pl.DataFrame:
    papers = pl.read_parquet(papers_path)
    return papers.with_columns(
        truth=papers["categories"].str.split(" ").list.contains("cs.RO"),
        score=pl.read_parquet(tiny_labels)["score"],
    ).with_columns(called=pl.col("score").cast(pl.Float64) >= scores.threshold)


def test_measures_agree_with_scikit_learn(evaluation: Evaluation, frame: pl.DataFrame) -> None:
    for name, function in (
        ("accuracy", reference.accuracy_score),
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
        ("f1", reference.f1_score),
    ):
        assert evaluation.measures[name].value == pytest.approx(function(frame["truth"], frame["called"]), abs=1e-12)
    expected = reference.average_precision_score(frame["truth"], frame["score"])
    assert evaluation.measures["average_precision"].value == pytest.approx(expected, abs=1e-12)
    for estimate in evaluation.measures.values():
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_a_decision_has_one_interval_wherever_it_stands(evaluation: Evaluation) -> None:
    points = evaluation.points
    at = int(np.searchsorted(points.thresholds, evaluation.scores.threshold))
    for column, name in enumerate(DECISIONS):
        found = evaluation.measures[name]
        assert (found.low, found.high) == (points.low[at, column], points.high[at, column])


@pytest.mark.parametrize(
    ("dimension", "group"),
    [
        (Dimension.YEAR, pl.col("created").str.slice(0, 4)),
        (Dimension.MONTH, pl.col("created").str.slice(0, 7)),
        (Dimension.CATEGORY, pl.col("categories").str.split(" ").list.first()),
        (
            Dimension.LENGTH,
            pl.min_horizontal(
                pl.sum_horizontal(pl.col("title", "abstract").str.strip_chars().str.len_chars()) // 300, 5
            ),
        ),
    ],
)
def test_slices_are_measured_apart(
    evaluation: Evaluation, frame: pl.DataFrame, dimension: Dimension, group: pl.Expr
) -> None:
    expected = {
        str(key[0]): part for key, part in frame.with_columns(group=group).partition_by("group", as_dict=True).items()
    }
    found = evaluation.slices[dimension]
    assert len(found) == len(expected)
    if dimension is Dimension.LENGTH:
        expected = dict(zip((item.group for item in found), (expected[key] for key in sorted(expected)), strict=True))
    for item in found:
        part = expected[item.group]
        assert (item.papers, item.listed) == (part.height, part["truth"].sum())
        assert item.confusion.tp == (part["truth"] & part["called"]).sum()
        assert item.confusion.fp == (~part["truth"] & part["called"]).sum()
        if item.listed:
            assert item.average_precision == pytest.approx(
                reference.average_precision_score(part["truth"], part["score"]), abs=1e-12
            )
        else:
            assert item.average_precision is None
            assert "recall" not in item.decisions
    assert sum(item.papers for item in found) == evaluation.papers


def test_categories_come_by_the_papers_that_are_listed(evaluation: Evaluation) -> None:
    listed = [item.listed for item in evaluation.slices[Dimension.CATEGORY]]
    assert listed == sorted(listed, reverse=True)
    years = [item.group for item in evaluation.slices[Dimension.YEAR]]
    assert years == sorted(years)


def test_disagreements_are_all_errors_the_surest_first(evaluation: Evaluation, frame: pl.DataFrame) -> None:
    found = evaluation.disagreements
    indexed = frame.with_row_index()
    wrong = indexed.filter(pl.col("called") & ~pl.col("truth"))
    assert set(found.candidates.tolist()) == set(wrong["index"])
    assert frame["score"][found.candidates.tolist()].is_sorted(descending=True)
    assert found.confident_candidates == (wrong["score"].cast(pl.Float64) >= 0.9).sum()
    missed = indexed.filter(~pl.col("called") & pl.col("truth"))
    assert set(found.missed.tolist()) == set(missed["index"])
    assert frame["score"][found.missed.tolist()].is_sorted()
    assert found.confident_missed == (missed["score"].cast(pl.Float64) <= 0.1).sum()


def test_unscored_papers_count_nowhere(truth: Truth, scores: Scores) -> None:
    holes = scores.values.copy()
    holes[::10] = np.nan
    found = evaluate(truth, replace(scores, values=holes))
    kept = np.isfinite(holes)
    known = Truth(
        ids=truth.ids.filter(kept),
        listed=truth.listed[kept],
        month=truth.month[kept],
        primary=truth.primary[kept],
        categories=truth.categories,
        characters=truth.characters[kept],
    )
    expected = evaluate(known, replace(scores, values=holes[kept]))
    assert (found.papers, found.unscored) == (1_800, 200)
    assert (found.measures, found.calibration, found.confusion) == (
        expected.measures,
        expected.calibration,
        expected.confusion,
    )
    assert [item.confusion for item in found.slices[Dimension.YEAR]] == [
        item.confusion for item in expected.slices[Dimension.YEAR]
    ]
    assert len(found.disagreements.missed) == len(expected.disagreements.missed)


def test_scores_that_are_no_probabilities_are_refused(truth: Truth, scores: Scores) -> None:
    with pytest.raises(InputDataError, match=r"expected scores from 0 to 1, found .* to 1\.5"):
        evaluate(truth, replace(scores, values=scores.values * 0 + np.float32(1.5)))


def test_models_are_compared_with_the_first(truth: Truth, scores: Scores) -> None:
    stricter = replace(scores, name="stricter", threshold=0.9)
    results = evaluate_models(["papers"], "cs.RO", truth, [scores, stricter, scores])
    assert [item.second for item in results.comparisons] == ["stricter", results.evaluations[2].scores.name]
    first, same = results.comparisons
    assert first.differences["recall"].value < 0 < first.differences["precision"].value
    assert first.differences["recall"].high < 0
    assert len(same.flips) == 0
    assert (same.differences["f1"].low, same.differences["f1"].high) == (0, 0)


def test_models_without_a_common_paper_are_not_compared(truth: Truth, scores: Scores) -> None:
    even, odd = scores.values.copy(), scores.values.copy()
    even[::2], odd[1::2] = np.nan, np.nan
    results = evaluate_models(["papers"], "cs.RO", truth, [replace(scores, values=even), replace(scores, values=odd)])
    assert results.comparisons == ()


def test_what_is_shown_is_bounded(truth: Truth, scores: Scores, papers_path: Path) -> None:
    models = [scores, replace(scores, threshold=0.9)]
    inputs = [str(papers_path)]
    results = evaluate_models(inputs, "cs.RO", truth, models, examples=3)
    assert 0 < len(read_shown(results, inputs, TruthColumns())) <= 5 * 3
    assert read_shown(replace(results, examples=0), inputs, TruthColumns()) == {}


def test_names_are_distinct() -> None:
    def named(name: str, source: str) -> Scores:
        return Scores(name=name, source=source, digest=None, threshold=0.5, values=np.zeros(0, dtype=np.float32))

    items = [named("labels", "a/labels.parquet"), named("labels", "b/labels.parquet"), named("cs.RO", "ro32")]
    assert [item.name for item in with_distinct_names(items)] == ["a/labels.parquet", "b/labels.parquet", "cs.RO"]
    twice = [named("labels", "labels.parquet")] * 2
    assert [item.name for item in with_distinct_names(twice)] == ["labels.parquet #1", "labels.parquet #2"]


def test_labels_of_other_papers_are_refused_with_the_row(tiny_labels: Path, papers_path: Path, tmp_path: Path) -> None:
    papers = pl.read_parquet(papers_path)
    other = papers.with_columns(id=pl.when(pl.int_range(pl.len()) == 1_234).then(pl.lit("x")).otherwise(pl.col("id")))
    other.write_parquet(tmp_path / "papers.parquet")
    with pytest.raises(InputDataError, match=rf"row 1,234 is {papers['id'][1_234]}, the paper there is x"):
        read_scores(tiny_labels, read_truth([str(tmp_path)], "cs.RO"))
    pl.DataFrame({"id": [None, "a"], "categories": "cs.RO"}).write_parquet(tmp_path / "papers.parquet")
    labels = pa.table({"id": pa.array([None, "b"]), "score": [0.5, 0.5]})
    pq.write_table(labels.replace_schema_metadata({"ro32": '{"threshold": 0.5}'}), tmp_path / "null.parquet")
    with pytest.raises(InputDataError, match="row 1 is b, the paper there is a"):
        read_scores(tmp_path / "null.parquet", read_truth([str(tmp_path / "papers.parquet")], "cs.RO"))
    (tmp_path / "null.parquet").unlink()
    other.head(17).write_parquet(tmp_path / "papers.parquet")
    with pytest.raises(InputDataError, match="it has 2,000 rows, there are 17 papers"):
        read_scores(tiny_labels, read_truth([str(tmp_path)], "cs.RO"))


def test_labels_that_a_run_replaces_meanwhile_are_not_mixed(
    tiny_labels: Path, truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of one run would be cut at the threshold of another."""
    labels, read = Path(copy(tiny_labels, tmp_path)), parquet.read_batches

    def replaced(*args: Any) -> Any:
        Path(copy(tiny_labels, tmp_path / "new")).replace(labels)
        return read(*args)

    monkeypatch.setattr(parquet, "read_batches", replaced)
    with pytest.raises(TryAgainError, match="changed while it was read"):
        read_scores(labels, truth)


def test_an_interval_is_no_wider_than_it_must_be(evaluation: Evaluation) -> None:
    """With 319 listed papers, recall is known to about 2.5 standard errors on either side."""
    recall = evaluation.measures["recall"]
    error = math.sqrt(recall.value * (1 - recall.value) / evaluation.listed)
    assert 1.5 * error < recall.high - recall.value < 2.5 * error
