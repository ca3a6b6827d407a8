"""What is kept of a dump's texts: each paper where it belongs, whatever files and forms the papers come in."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.model.classifier import Classifier
from ro32.refresh.census import Census, take_census
from ro32.refresh.gather import encoder_log_odds, gather, texts
from ro32.refresh.held_out import Division, divide
from ro32.train.dump import Dump
from ro32.train.fit_linear import stack_features


@pytest.fixture
def dumps(papers: pl.DataFrame, tmp_path: Path) -> list[Dump]:
    """The sample in two files of two forms."""
    papers.head(200).write_parquet(tmp_path / "first.parquet")
    papers.tail(100).select("id", "title", "abstract", "categories", "created").write_ndjson(tmp_path / "second.jsonl")
    return [Dump.open(tmp_path / name) for name in ("first.parquet", "second.jsonl")]


def counted(dumps: list[Dump]) -> tuple[Census, Division]:
    census = take_census(dumps, "cs.RO")
    return census, divide(census, since=0, share=0.3, most_training=10**6, most_held_out=10**6, enough=0)


def test_papers_of_two_files_go_where_they_belong(dumps: list[Dump], papers: pl.DataFrame) -> None:
    census, division = counted(dumps)
    rows: list[int] = []
    features, held_out = gather(dumps, census, division, "cs.RO", on_rows=rows.append)
    assert sum(rows) == 300
    assert held_out["id"].equals(papers["id"].filter(pl.Series(division.held_out)))
    assert held_out["positive"].to_list() == census.positive[division.held_out].tolist()
    assert {name.partition(".")[0] for name in held_out["primary"]} >= {"cs", "math"}
    expected = stack_features([papers.filter(pl.Series(division.training))], "cs.RO")
    assert (features.present != expected.present).nnz == 0
    np.testing.assert_array_equal(features.positive, expected.positive)


def test_the_encoder_is_asked_as_in_a_run(dumps: list[Dump], classifier: Classifier) -> None:
    census, division = counted(dumps)
    _, held_out = gather(dumps, census, division, "cs.RO", on_rows=lambda _: None)
    found = encoder_log_odds(classifier, held_out, threads=2, on_rows=lambda _: None)
    scores = classifier.score(*texts(held_out)).outcomes.scores
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), scores, rtol=0, atol=1e-6)
    nothing = held_out.head(1).with_columns(title=pl.lit(""), abstract=pl.lit(""))
    assert np.isnan(encoder_log_odds(classifier, nothing, threads=1, on_rows=lambda _: None)).all()
