"""Selects the most informative papers for an encoder, with out-of-fold log-odds of a linear view."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ro32.train.dump import TEACHER_COLUMN
from ro32.train.fit_linear import FeatureMatrix, LinearRecipe, check_both_kinds, fit_exactly

FOLDS = 2
FOLD_SEED = 7
"""Of the division into folds. Any number does; another one gives another sample."""


@dataclass(frozen=True, kw_only=True)
class SampleRecipe:
    """What decides the sample besides the papers. All positives are in it, once."""

    hard_negatives: int = 11_000  # those that the linear view finds hardest
    random_negatives: int = 2_500  # further ones, drawn at random
    category_share: float = 0.22  # of the hard negatives that one primary category may have, for variety
    seed: int = 20230227  # of the draw


def score_out_of_fold(papers: FeatureMatrix, recipe: LinearRecipe) -> NDArray[np.float32]:
    """Score n papers by linear views, each fitted on the other fold: log-odds, not pruned or rounded, shape (n,).

    Raises:
        InputDataError: A fold has papers of one kind only.
    """
    fold = np.random.default_rng(FOLD_SEED).integers(0, FOLDS, len(papers.positive))
    found = np.zeros(len(papers.positive), dtype=np.float32)
    for held_out in range(FOLDS):
        mine, others = np.flatnonzero(fold == held_out), np.flatnonzero(fold != held_out)
        fitted = replace(papers, present=papers.present[others], positive=papers.positive[others])
        check_both_kinds(fitted.positive, f"{len(others):,} papers that a linear view is fitted on", recipe.category)
        weights, bias = fit_exactly(fitted, recipe)
        found[mine] = papers.present[mine] @ weights + bias
    return found


def choose_sample(
    papers: pl.DataFrame, positive: NDArray[np.bool_], teacher: NDArray[np.float32], recipe: SampleRecipe
) -> pl.DataFrame:
    """Choose from n papers those to train an encoder on, given their categories, and what is positive, shape (n,).

    The teacher, log-odds by models that have not seen the papers, shape (n,), becomes a column of what is returned.
    """
    negatives = np.flatnonzero(~positive)
    by_hardness = negatives[np.argsort(-teacher[negatives], kind="stable")]
    primary = papers["categories"].gather(by_hardness).str.split(" ").list.first()
    ranked = pl.DataFrame({"at": by_hardness, "primary": primary}).with_columns(
        rank=pl.int_range(pl.len()).over("primary")
    )
    most = recipe.category_share * recipe.hard_negatives
    hard = ranked.filter(pl.col("rank") < most)["at"].head(recipe.hard_negatives).to_numpy()
    others = np.setdiff1d(negatives, hard)
    drawn = np.random.default_rng(recipe.seed).permutation(others)[: recipe.random_negatives]
    chosen = np.sort(np.concatenate([np.flatnonzero(positive), hard, drawn]))
    return papers[chosen].with_columns(pl.Series(TEACHER_COLUMN, teacher[chosen]))
