"""`ro32-eval`: scores against the dump's own categories."""

import json
from pathlib import Path

import polars as pl
import pytest
from sklearn import metrics as reference

from ro32.cli.evaluate import command
from tests.command_line import Invoke, Score


@pytest.fixture
def labels(score: Score, papers_path: Path, tmp_path: Path) -> Path:
    assert score(papers_path, "-o", tmp_path / "labels.parquet").code == 0
    return tmp_path / "labels.parquet"


def test_figures_agree_with_scikit_learn(invoke: Invoke, labels: Path, papers_path: Path) -> None:
    outcome = invoke(command, [papers_path, "--labels", labels, "--json"])
    assert outcome.code == 0, outcome.stderr
    found = json.loads(outcome.stdout)[0]
    frame = pl.read_parquet(labels).with_columns(
        truth=pl.read_parquet(papers_path)["categories"].str.split(" ").list.contains("cs.RO")
    )
    called = frame["label"] == "cs.RO"
    assert found["papers"] == frame.height
    assert found["positives"] == frame["truth"].sum()
    for name, function in (
        ("accuracy", reference.accuracy_score),
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
        ("f1", reference.f1_score),
    ):
        assert found[name] == pytest.approx(function(frame["truth"], called), abs=1e-12)
    assert found["average_precision"] == pytest.approx(
        reference.average_precision_score(frame["truth"], frame["score"]), abs=1e-12
    )


def test_labels_and_bundle_side_by_side_agree(
    invoke: Invoke, labels: Path, papers_path: Path, tiny_bundle: Path
) -> None:
    outcome = invoke(command, [papers_path, "--labels", labels, "--bundle", tiny_bundle])
    assert outcome.code == 0, outcome.stderr
    cells = [line.split()[-2:] for line in outcome.stdout.splitlines()[1:]]
    assert len(cells) == 15
    assert all(left == right for left, right in cells)


def test_unscored_rows_are_counted_apart(invoke: Invoke, score: Score, papers: pl.DataFrame, tmp_path: Path) -> None:
    path, labels = tmp_path / "papers.parquet", tmp_path / "labels.parquet"
    holes = pl.int_range(pl.len()) % 10 == 0
    blank = [pl.when(holes).then(None).otherwise(pl.col(name)).alias(name) for name in ("title", "abstract")]
    papers.with_columns(blank).write_parquet(path)
    assert score(path, "-o", labels, "--max-unscored", "0.1").code == 0
    found = json.loads(invoke(command, [path, "--labels", labels, "--json"]).stdout)[0]
    assert (found["papers"], found["unscored"]) == (270, 30)


def test_labels_of_other_papers_are_refused(invoke: Invoke, labels: Path, papers: pl.DataFrame, tmp_path: Path) -> None:
    papers.write_parquet(tmp_path / "other.parquet")
    outcome = invoke(command, [tmp_path / "other.parquet", "--labels", labels])
    assert outcome.code == 65
    assert "not those of the papers" in outcome.stderr


def test_a_file_that_is_no_labels_file_is_refused(invoke: Invoke, papers_path: Path, tmp_path: Path) -> None:
    pl.DataFrame({"id": ["a"], "score": [0.5]}).write_parquet(tmp_path / "labels.parquet")
    outcome = invoke(command, [papers_path, "--labels", tmp_path / "labels.parquet"])
    assert outcome.code == 65
    assert "not a labels file" in outcome.stderr


def test_missing_categories_are_named(invoke: Invoke, labels: Path, papers: pl.DataFrame, tmp_path: Path) -> None:
    papers.drop("categories").write_parquet(tmp_path / "papers.parquet")
    outcome = invoke(command, [tmp_path / "papers.parquet", "--labels", labels])
    assert outcome.code == 65
    assert "'categories'" in outcome.stderr


def test_a_category_nobody_is_in_is_refused(invoke: Invoke, labels: Path, papers_path: Path) -> None:
    outcome = invoke(command, [papers_path, "--labels", labels, "--category", "cs.XX"])
    assert outcome.code == 65
    assert "--category" in outcome.stderr
