"""The sample to train on: all positives, hard negatives of many categories, and a teacher that saw none of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.cli import sample
from ro32.cli.sample import command
from ro32.errors import InputDataError
from ro32.train.choose import choose_training, take
from ro32.train.config import Recipe
from ro32.train.corpus import load_corpus
from ro32.train.draw_sample import SampleRecipe, choose_sample, score_out_of_fold
from ro32.train.dump import Dump
from ro32.train.fit_linear import FeatureMatrix, LinearRecipe, read_features
from tests.command_line import Invoke
from tests.train.conftest import TINY


@pytest.fixture(scope="module")
def sampled(papers_path: Path) -> pl.DataFrame:
    return pl.read_parquet(papers_path)


@pytest.fixture(scope="module")
def features(papers_path: Path) -> FeatureMatrix:
    return read_features(Dump.open(papers_path), "cs.RO")


@pytest.fixture(scope="module")
def teacher(features: FeatureMatrix) -> np.ndarray:
    return score_out_of_fold(features, LinearRecipe(min_papers=2))


def test_the_teacher_ranks_papers_that_it_has_not_seen(features: FeatureMatrix, teacher: np.ndarray) -> None:
    assert np.isfinite(teacher).all()
    positive = features.positive
    above = np.mean(teacher[positive][:, None] > teacher[~positive][None, :])
    assert 0.8 < above < 1  # a model that had seen them would tell all of them apart


def test_no_category_has_more_than_its_share(sampled: pl.DataFrame, teacher: np.ndarray) -> None:
    positive = sampled["categories"].str.split(" ").list.contains("cs.RO").to_numpy()
    recipe = SampleRecipe(hard_negatives=100, random_negatives=20, category_share=0.1)
    chosen = choose_sample(sampled, positive, teacher, recipe)
    negatives = chosen.filter(~pl.col("categories").str.split(" ").list.contains("cs.RO"))
    assert len(chosen) - len(negatives) == positive.sum()
    assert len(negatives) == 120
    hardest = negatives.top_k(100, by="teacher")
    assert max(hardest["categories"].str.split(" ").list.first().value_counts()["count"].to_list()) <= 10 + 20
    assert chosen["teacher"].to_list() == teacher[sampled["id"].is_in(chosen["id"].implode()).to_numpy()].tolist()


def test_training_takes_the_teacher_of_the_dump(sampled: pl.DataFrame, teacher: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "sample.parquet"
    sampled.head(300).with_columns(teacher=pl.Series(teacher[:300])).write_parquet(path)
    tokenizer_json = (TINY / "tokenizer.json").read_bytes()
    corpus = load_corpus(Dump.open(path), tokenizer_json=tokenizer_json, max_length=64, cache=tmp_path / "cache")
    everything = take(corpus, np.arange(len(corpus)), "cs.RO")
    chosen = choose_training(everything, Recipe(distillation=0.25))
    expected = 0.75 * everything.positive + 0.25 / (1 + np.exp(-corpus.teacher))
    assert np.isfinite(corpus.teacher).all()
    assert sorted(chosen.targets) == pytest.approx(sorted(expected), abs=1e-6)


def test_a_dump_that_changes_meanwhile_gives_no_sample(
    sampled: pl.DataFrame, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log-odds of some papers would be given to others."""
    path, target = tmp_path / "papers.parquet", tmp_path / "sample.parquet"

    def score_others(features: FeatureMatrix, _recipe: LinearRecipe) -> np.ndarray:
        path.unlink()
        sampled.head(300).reverse().write_parquet(path)
        return np.zeros(len(features.positive))

    sampled.head(300).write_parquet(path)
    monkeypatch.setattr(sample, "score_out_of_fold", score_others)
    done = invoke(command, ["--data", path, "-o", target])
    assert (done.code, target.exists()) == (75, False), done.stderr


def test_the_command_does_not_write_over_its_dump(source: Path, invoke: Invoke) -> None:
    before = source.read_bytes()
    done = invoke(command, ["--data", source, "-o", source])
    assert (done.code, source.read_bytes()) == (73, before), done.stderr


def test_a_fold_without_positive_papers_is_refused(features: FeatureMatrix) -> None:
    one = np.zeros_like(features.positive)
    one[3] = True
    with pytest.raises(InputDataError, match=r"expected papers inside and outside of cs\.RO, found only one kind"):
        score_out_of_fold(replace(features, positive=one), LinearRecipe())


def test_the_sample_keeps_when_a_paper_appeared(sampled: pl.DataFrame, invoke: Invoke, tmp_path: Path) -> None:
    """Training excludes the papers of earlier years by it."""
    sampled.with_columns(created=pl.lit("2003-05-01")).write_parquet(tmp_path / "dump.parquet")
    outcome = invoke(command, ["--data", tmp_path / "dump.parquet", "-o", tmp_path / "sample.parquet", "--quiet"])
    assert outcome.code == 0, outcome.stderr
    assert pl.read_parquet(tmp_path / "sample.parquet")["created"].unique().to_list() == ["2003-05-01"]
