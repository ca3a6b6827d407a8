"""Which papers are shown and measured: mined negatives, softened targets, a validation sample that speaks for all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ro32.model.metrics import precision_recall
from ro32.train.choose import PaperSet, choose_training, choose_validation, take
from ro32.train.config import Recipe
from ro32.train.corpus import load_corpus
from ro32.train.dump import Dump
from ro32.train.mine import linear_scores


@pytest.fixture(scope="module")
def papers(base: Path, papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperSet:
    corpus = load_corpus(
        Dump.open(papers_path),
        tokenizer_json=(base / "tokenizer.json").read_bytes(),
        max_length=256,
        cache=tmp_path_factory.mktemp("cache"),
    )
    return take(corpus, np.arange(len(corpus)), "cs.RO")


@pytest.fixture(scope="module")
def scores(papers: PaperSet) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return linear_scores(papers.corpus, papers.index, papers.positive, seed=Recipe.seed)


def test_linear_model_ranks_papers_that_it_was_not_fitted_on(
    papers: PaperSet, scores: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> None:
    average_precision = precision_recall(papers.positive, scores).average_precision
    assert average_precision > 0.85  # 0.13 by chance; of what it was fitted on it would be 1
    assert average_precision < 0.99


def test_hardest_negatives_are_taken(papers: PaperSet, scores: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    recipe = Recipe(hard_negatives=100, random_negatives=30)
    chosen = choose_training(papers, recipe)
    assert chosen.positive.sum() == papers.positive.sum()
    assert (~chosen.positive).sum() == 130
    negatives = np.flatnonzero(~papers.positive)
    hardest = negatives[np.argsort(-scores[negatives], kind="stable")][:100]
    assert set(papers.index[hardest]) <= set(chosen.index)
    assert len(set(chosen.index)) == len(chosen)


def test_targets_are_the_labels_without_distillation(papers: PaperSet) -> None:
    chosen = choose_training(papers, Recipe(hard_negatives=100, random_negatives=30))
    np.testing.assert_array_equal(chosen.targets, chosen.positive)


@pytest.mark.parametrize("hard_negatives", [None, 100])
def test_distillation_moves_targets_towards_the_linear_model(
    papers: PaperSet, scores: np.ndarray[tuple[int], np.dtype[np.float32]], hard_negatives: int | None
) -> None:
    recipe = Recipe(hard_negatives=hard_negatives, random_negatives=30, distillation=0.4)
    chosen = choose_training(papers, recipe)
    probabilities = 1 / (1 + np.exp(-scores[np.searchsorted(papers.index, chosen.index)]))
    np.testing.assert_allclose(chosen.targets, 0.6 * chosen.positive + 0.4 * probabilities, rtol=0, atol=1e-6)


def test_validation_sample_speaks_for_all(papers: PaperSet) -> None:
    half = len(papers) // 2
    training, whole = (papers.pick(side) for side in np.split(np.arange(len(papers)), [half]))
    sample = choose_validation(whole, training, Recipe(validation_papers=400))
    assert len(sample) == 400
    assert sample.positive.sum() == whole.positive.sum()
    assert sample.weights.sum() == len(whole)
    assert (sample.weights[sample.positive] == 1).all()
    assert choose_validation(whole, training, Recipe(validation_papers=None)) is whole


def test_a_teacher_that_is_sure_is_no_overflow(papers: PaperSet) -> None:
    sure = replace(papers.corpus, teacher=np.full_like(papers.corpus.teacher, -200.0))
    chosen = choose_training(replace(papers, corpus=sure), Recipe(distillation=0.5))
    assert set(chosen.targets.tolist()) == {0.0, 0.5}


def test_a_sample_with_one_negative_is_all_papers(papers: PaperSet) -> None:
    some = papers.pick(np.append(np.flatnonzero(papers.positive), np.flatnonzero(~papers.positive)[0]))
    assert len(choose_validation(some, papers, Recipe(validation_papers=3))) == len(some)
