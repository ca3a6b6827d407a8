"""Selects the papers to train and validate on: the mined sample, the weighted validation sample."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from ro32.errors import InputDataError
from ro32.train.config import Recipe
from ro32.train.corpus import Corpus
from ro32.train.mine import TokenModel, linear_scores

AUXILIARY_SHARE = 0.003
"""Categories that a smaller share of the papers list are no part of the auxiliary task."""
HARD_VALIDATION_SHARE = 0.5
"""Of a reduced validation sample, the share of the negatives that are taken as the hardest, each with weight 1."""


@dataclass(frozen=True, kw_only=True)
class PaperSet:
    """m papers of one corpus with their truth; arrays have the shape (m,)."""

    corpus: Corpus
    index: NDArray[np.int64]  # which papers of the corpus
    positive: NDArray[np.bool_]
    targets: NDArray[np.float32]  # probability of being positive that a model is to learn; without distillation 0 or 1
    weights: NDArray[np.int64]  # for how many papers each speaks in a measure

    def __len__(self) -> int:
        return len(self.index)

    def pick(self, at: NDArray[np.int64]) -> Self:
        """Return the papers at some positions, in their order."""
        return replace(self, **{name: getattr(self, name)[at] for name in ("index", "positive", "targets", "weights")})

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each paper, shape (m,)."""
        return self.corpus.lengths[self.index]


def take(corpus: Corpus, index: NDArray[np.int64], category: str) -> PaperSet:
    """Return the papers of `index`, each with weight 1."""
    positive = corpus.positives(category)[index]
    return PaperSet(
        corpus=corpus,
        index=index,
        positive=positive,
        targets=positive.astype(np.float32),
        weights=np.ones(len(index), dtype=np.int64),
    )


def choose_training(papers: PaperSet, recipe: Recipe) -> PaperSet:
    """Return the papers of an epoch: all, or all positives with the hardest and some random negatives.

    Papers of the file of negatives are all shown, and their targets are 0.
    With distillation, a paper's target lies between its label and its probability by a linear model that was fitted on
    other papers: a paper that is not listed but reads like the category is a weaker negative.
    Hardness and probability come from the dump if that has log-odds for every paper.
    """
    _need_both_kinds(papers, recipe, "training")
    positives = np.repeat(np.flatnonzero(papers.positive), recipe.positive_repeats)
    whatever = papers.corpus.negative[papers.index]
    negatives = np.flatnonzero(~papers.positive & ~whatever)
    scores = papers.corpus.teacher[papers.index]
    if recipe.hard_negatives is not None or recipe.distillation:
        if np.isnan(scores[~whatever]).any():
            scores = linear_scores(papers.corpus, papers.index, papers.positive, seed=recipe.seed)
        softened = (1 - recipe.distillation) * papers.targets + recipe.distillation * expit(scores)
        papers = replace(papers, targets=np.where(whatever, papers.targets, softened.astype(np.float32)))
    if recipe.hard_negatives is not None:
        by_hardness = negatives[np.argsort(-scores[negatives], kind="stable")]
        hardest, others = np.split(by_hardness, [recipe.hard_negatives])
        drawn = np.random.default_rng(recipe.seed).permutation(others)[: recipe.random_negatives]
        negatives = np.concatenate([hardest, drawn])
    return papers.pick(np.sort(np.concatenate([positives, np.flatnonzero(whatever), negatives])))


def choose_auxiliary(papers: PaperSet, recipe: Recipe) -> dict[str, float]:
    """Return the other categories that the auxiliary task names, each with its share of `papers`; none without it."""
    if not recipe.auxiliary_weight:
        return {}
    counts = _listed(papers).value_counts(name="n").sort("n", "categories", descending=[True, False])
    return {
        name: count / len(papers)
        for name, count in counts.iter_rows()
        if count >= AUXILIARY_SHARE * len(papers) and name != recipe.category
    }


def choose_validation(papers: PaperSet, training: PaperSet, recipe: Recipe) -> PaperSet:
    """Return the validation papers to measure on, weighted so that they speak for all of `papers`.

    A reduced sample holds every positive and, weight 1, the negatives that a linear model finds hardest, where nearly
    all false positives are; each k-th of the other negatives, ordered by hardness, speaks for k.
    """
    _need_both_kinds(papers, recipe, "validation")
    if recipe.validation_papers is None or recipe.validation_papers >= len(papers):
        return papers
    model = TokenModel(training.corpus, training.index, training.positive, seed=recipe.seed)
    scores = model.scores(papers.corpus, papers.index)
    negatives = np.flatnonzero(~papers.positive)
    by_hardness = negatives[np.argsort(-scores[negatives], kind="stable")]
    wanted = max(recipe.validation_papers - int(papers.positive.sum()), 2)
    hardest, others = np.split(by_hardness, [int(wanted * HARD_VALIDATION_SHARE)])
    strata = np.array_split(others, min(wanted - len(hardest), len(others))) if len(others) else []
    drawn = np.array([stratum[len(stratum) // 2] for stratum in strata], dtype=np.int64)
    weights = papers.weights.copy()
    weights[drawn] = [len(stratum) for stratum in strata]
    picked = np.sort(np.concatenate([np.flatnonzero(papers.positive), hardest, drawn]))
    return replace(papers, weights=weights).pick(picked)


def _listed(papers: PaperSet) -> pl.Series:
    """Return the categories of all papers, one behind the other; those of a file of negatives have none."""
    listed = papers.corpus.categories.gather(papers.index).str.split(" ").explode()
    return listed.filter(listed != "")


def _need_both_kinds(papers: PaperSet, recipe: Recipe, side: str) -> None:
    positives = int(papers.positive.sum())
    if 0 < positives < len(papers):
        return
    counts = _listed(papers).value_counts(sort=True).head(10)
    frequent = ", ".join(f"{name} ({count})" for name, count in counts.iter_rows()) or "none"
    raise InputDataError(
        f"expected papers inside and outside of {recipe.category} among the {len(papers):,} for {side}, found"
        f" {positives:,} inside; the most frequent categories are {frequent}; name another --category or more papers"
    )
