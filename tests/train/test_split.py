"""Which papers train and which validate: the original's split, and papers that are negative whatever."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.data.dates import UNKNOWN
from ro32.errors import InputDataError
from ro32.train.choose import choose_training, take
from ro32.train.config import ORIGINAL, Recipe, Split
from ro32.train.corpus import Corpus, hash_id, load_corpus
from ro32.train.dump import Dump
from ro32.train.split import _evenly, select, split


@pytest.fixture(scope="module")
def corpus(base: Path, papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The sample, with three papers of it and a strange one in a file of negatives."""
    folder = tmp_path_factory.mktemp("split")
    positives = pl.read_parquet(papers_path).filter(pl.col("categories").str.contains("cs.RO", literal=True)).head(3)
    strange = {"id": ["https://openalex.org/W1", "W2"], "title": ["On robots", ""], "abstract": [None, " "]}
    negatives = pl.concat([positives.select("id", "title", "abstract"), pl.DataFrame(strange)])
    negatives.write_parquet(folder / "negatives.parquet")
    return load_corpus(
        Dump.open(papers_path),
        Dump.open(folder / "negatives.parquet", labelled=False),
        tokenizer_json=(base / "tokenizer.json").read_bytes(),
        max_length=64,
        cache=folder / "cache",
    )


def test_the_original_s_papers_and_steps() -> None:
    papers = 1_562_353  # all of arXiv from 2010 on, as the original saw it
    in_training = _evenly(papers, ORIGINAL.train_share)
    assert in_training.sum() == 1_093_647
    assert -(-in_training.sum() // ORIGINAL.batch_size) == 34_177
    rest = papers - int(in_training.sum())
    assert _evenly(rest, ORIGINAL.validation_share / (1 - ORIGINAL.train_share)).sum() == 234_353


def test_only_papers_from_the_year_on_are_taken(corpus: Corpus, papers_path: Path) -> None:
    taken = select(corpus, ORIGINAL)
    papers = pl.read_parquet(papers_path).select("id", "created").rows()
    new = {hash_id(paper_id, seed=0) for paper_id, created in papers if created >= "2010"}
    whatever = set(corpus.id_hashes[corpus.negative].tolist())
    assert set(corpus.id_hashes[taken].tolist()) == new - whatever
    assert len(taken) < len(corpus)
    with pytest.raises(InputDataError, match=r"no paper with a date from 3000 on .* or --from-year 0 for"):
        select(corpus, Recipe(from_year=3000))
    undated = dataclasses.replace(corpus, months=np.full_like(corpus.months, UNKNOWN))
    np.testing.assert_array_equal(select(undated, Recipe(from_year=0)), np.flatnonzero(~corpus.negative))


def test_each_first_category_is_divided_alike(corpus: Corpus) -> None:
    sides = split(corpus, ORIGINAL)
    taken = select(corpus, ORIGINAL)
    assert not set(sides[0]) & set(sides[1])
    assert set(sides[0]) | set(sides[1]) <= set(taken)
    assert [len(side) for side in sides] == [pytest.approx(share * len(taken), abs=1) for share in (0.70, 0.15)]
    primary = corpus.categories.str.split(" ").list.first().to_numpy()
    for name in np.unique(primary):
        papers = int(np.sum(primary[taken] == name))
        for side, share in zip(sides, (0.70, 0.15), strict=True):
            assert np.sum(primary[side] == name) == pytest.approx(share * papers, abs=2)


def test_the_split_has_a_seed_of_its_own(corpus: Corpus) -> None:
    first, other, later = (
        split(corpus, dataclasses.replace(ORIGINAL, **changes))[0].tolist()
        for changes in ({"seed": 1}, {"split_seed": 1}, {"split_seed": None, "seed": 1})
    )
    assert first == split(corpus, ORIGINAL)[0].tolist()
    assert other == later != first


@pytest.mark.parametrize("kind", Split)
def test_a_side_may_be_empty(corpus: Corpus, kind: Split) -> None:
    training, validation = split(corpus, Recipe(split=kind, train_share=1.0, validation_share=0.0))
    assert (len(training), len(validation)) == (len(select(corpus, Recipe())), 0)


def test_negatives_are_negative_whatever_and_always_shown(corpus: Corpus) -> None:
    whatever = np.flatnonzero(corpus.negative)
    assert len(whatever) == 4
    assert corpus.empty == 1
    assert not corpus.positives("cs.RO")[whatever].any()
    assert not set(select(corpus, Recipe())) & set(whatever)
    papers = take(corpus, np.arange(len(corpus)), "cs.RO")
    for recipe in (Recipe(), Recipe(hard_negatives=5, distillation=0.5), Recipe(hard_negatives=5, positive_repeats=2)):
        shown = choose_training(papers, recipe)
        there = np.isin(shown.index, whatever)
        assert there.sum() == 4
        assert (shown.targets[there] == 0).all()
