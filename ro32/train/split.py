"""Splits the papers of a dump into training and validation."""

import numpy as np
from numpy.typing import NDArray

from ro32.data.dates import MONTHS_A_YEAR
from ro32.errors import InputDataError
from ro32.train.config import Recipe, Split
from ro32.train.corpus import Corpus


def select(corpus: Corpus, recipe: Recipe) -> NDArray[np.int64]:
    """Return the papers that the recipe takes, without those of the file of negatives.

    Raises:
        InputDataError: There is none.
    """
    taken = ~corpus.negative
    if recipe.from_year:
        taken &= corpus.months >= recipe.from_year * MONTHS_A_YEAR
    if not taken.any():
        since = f" with a date from {recipe.from_year} on" if recipe.from_year else ""
        raise InputDataError(
            f"no paper{since} among {len(corpus):,}; choose another --data, or --from-year 0 for papers of all years"
        )
    return np.flatnonzero(taken)


def split(corpus: Corpus, recipe: Recipe) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide the papers of a dump into those for training and those for validation, by the recipe's kind of split."""
    index = select(corpus, recipe)
    draw = _draw(corpus.id_hashes[index], recipe.seed if recipe.split_seed is None else recipe.split_seed)
    train, validation = recipe.train_share, recipe.validation_share
    if recipe.split is Split.HASH:
        in_training, in_validation = draw < train, draw < train + validation
        return index[in_training], index[in_validation & ~in_training]
    primary = corpus.categories.gather(index).str.split(" ").list.first().fill_null("").rank("dense").to_numpy()
    ordered = np.lexsort((draw, primary))
    in_training = _evenly(len(ordered), train)
    rest = ordered[~in_training]
    in_validation = _evenly(len(rest), validation / (1 - train)) if len(rest) else np.zeros(0, dtype=np.bool_)
    return np.sort(index[ordered[in_training]]), np.sort(index[rest[in_validation]])


def _draw(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Return a number from 0 to 1 for each paper, by the hash of its id and the seed."""
    # SplitMix64's finalizer (Steele et al., OOPSLA 2014) makes the seed and the id's hash one independent draw.
    mixed = hashes ^ np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2**64)


def _evenly(papers: int, share: float) -> NDArray[np.bool_]:
    """Mark a share of papers in an order, evenly: of each stretch of it and of all of them, but for rounding."""
    return np.asarray(np.diff(np.floor(np.arange(papers + 1) * share + 0.5)) > 0)
