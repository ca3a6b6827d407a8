"""Trains the linear view: a logistic regression over all papers' hashed n-grams, pruned and rounded to integers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, logit

from ro32.errors import InputDataError
from ro32.model.linear_view import LinearModel
from ro32.model.ngrams import HASH_BITS, extract
from ro32.model.text import normalize
from ro32.train.dump import Dump

_LARGEST = np.iinfo(np.int16).max
_SOLVER = {"maxiter": 40, "maxcor": 3, "ftol": 1e-5}
"""Steps at most: 60 fit the training papers better and others no better. Each correction takes 16 bytes a feature."""
_COUNTED = 1 << 24
"""Indices counted at a time, as numpy widens them to 8 bytes."""


@dataclass(frozen=True, kw_only=True)
class LinearRecipe:
    """What decides the linear view besides the papers. docs/decisions.md has the measurements behind the defaults."""

    category: str = "cs.RO"  # a paper is positive when its categories name this one anywhere
    min_papers: int = 3  # a feature in fewer training papers gets no weight
    inverse_regularization: float = 10.0  # C of the logistic regression
    features: int = 320_000  # how many keep a weight: those whose weights matter most over all papers


@dataclass(frozen=True, kw_only=True)
class FeatureMatrix:
    """n papers as the solver sees them."""

    # Shape (n, 2**HASH_BITS), float32: 1 / sqrt(number of the paper's features) where it has one.
    present: sparse.csr_matrix
    positive: NDArray[np.bool_]  # (n,): is the paper listed in the category?


def read_features(dump: Dump, category: str, *, on_rows: Callable[[int], object] = lambda _rows: None) -> FeatureMatrix:
    """Extract the features of all papers of a dump; positive are those that list the category.

    Raises:
        InputDataError: The dump is damaged, or not both kinds of papers are in it.
    """
    papers = stack_features(dump.frames(), category, on_rows=on_rows)
    check_both_kinds(papers.positive, f"{dump.path}", category)
    return papers


def check_both_kinds(positive: NDArray[np.bool_], where: str, category: str) -> None:
    """Raise InputDataError if there are papers of one kind only."""
    if positive.all() or not positive.any():
        raise InputDataError(
            f"{where}: expected papers inside and outside of {category}, found only one kind; name more papers, or"
            " another --category"
        )


def stack_features(
    frames: Iterable[pl.DataFrame], category: str, *, on_rows: Callable[[int], object] = lambda _rows: None
) -> FeatureMatrix:
    """Extract the features of the papers of frames with the columns title, abstract and categories.

    `on_rows` is called with the number of rows done since the last call.
    """
    buckets = bytearray()  # grows in place, where small arrays in a list leave holes in the memory behind them
    counts: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    positive: list[NDArray[np.bool_]] = [np.zeros(0, dtype=np.bool_)]
    for frame in frames:
        texts = frame.select(normalize(pl.col("title", "abstract")))
        for features in extract(texts["title"].to_list(), texts["abstract"].to_list()):
            buckets += features.buckets.data
            counts.append(features.counts)
        positive.append(is_listed(frame["categories"], category))
        on_rows(len(frame))
    each = np.concatenate(counts)
    columns = np.frombuffer(buckets, dtype=np.int32)  # unsigned before; `HASH_BITS` fit into either
    values = np.repeat((1 / np.sqrt(np.maximum(each, 1))).astype(np.float32), each)
    rows = np.append(0, np.cumsum(each))
    present = sparse.csr_matrix((values, columns, rows), shape=(len(each), 2**HASH_BITS))
    return FeatureMatrix(present=present, positive=np.concatenate(positive))


def add_negatives(papers: FeatureMatrix, negatives: Dump) -> FeatureMatrix:
    """Append the papers of a dump, which count as negative whatever they are."""
    more = stack_features(negatives.frames(), "")
    present = sparse.vstack([papers.present, more.present], format="csr")
    return FeatureMatrix(present=present, positive=np.append(papers.positive, np.zeros_like(more.positive)))


def is_listed(categories: pl.Series, category: str) -> NDArray[np.bool_]:
    """Return which of n papers list a category among theirs, which are separated by single spaces."""
    return categories.cast(pl.String).fill_null("").str.split(" ").list.contains(category).to_numpy()


def fit(papers: FeatureMatrix, recipe: LinearRecipe, each: NDArray[np.float64] | None = None) -> LinearModel:
    """Fit the linear view, on papers that may have weights, shape (n,); raises as `fit_exactly`."""
    weights, bias = fit_exactly(papers, recipe, each)
    rounded, scale = round_weights(papers, weights, recipe.features)
    return LinearModel(weights=rounded, scale=scale, bias=bias)


def score_features(model: LinearModel, papers: FeatureMatrix) -> NDArray[np.float64]:
    """Return the scores that the model gives these papers, shape (n,), but for the last bits."""
    return np.asarray(model.bias + model.scale * (papers.present @ model.weights.astype(np.float64)))


def fit_exactly(
    papers: FeatureMatrix, recipe: LinearRecipe, each: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], float]:
    """Fit without pruning or rounding.

    L-BFGS works on the features as they are. scikit-learn's solvers copy them, which takes four times the memory.

    Returns:
        Weights for `FeatureMatrix.present`, shape (2**HASH_BITS,), and the bias.

    Raises:
        InputDataError: No feature is in enough papers.
    """
    present, by_feature, positive = papers.present, papers.present.T, papers.positive
    scales = feature_scales(papers, recipe)
    fitted = np.flatnonzero(scales)
    if not len(fitted):
        raise InputDataError(f"no word tells papers of {recipe.category} from others; learn from more papers")
    scales = scales[fitted]
    signs = np.where(positive, 1.0, -1.0)
    costs = recipe.inverse_regularization * (np.ones(len(positive)) if each is None else each)
    of_all = np.zeros(2**HASH_BITS, dtype=np.float32)

    def loss_and_gradient(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = at[:-1], at[-1]
        of_all[fitted] = scales * weights
        margins = signs * (present @ of_all + bias)
        slopes = -costs * signs * expit(-margins)
        gradient = np.append(scales * (by_feature @ slopes.astype(np.float32))[fitted], slopes.sum())
        gradient[:-1] += weights
        return float(weights @ weights / 2 + costs @ np.logaddexp(0, -margins)), gradient

    start = np.zeros(len(fitted) + 1)
    start[-1] = logit(costs[positive].sum() / costs.sum())
    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=_SOLVER).x
    weights = np.zeros(2**HASH_BITS)
    weights[fitted] = scales * found[:-1]
    return weights, float(found[-1])


def feature_scales(papers: FeatureMatrix, recipe: LinearRecipe) -> NDArray[np.float64]:
    """Return how the features are scaled for the fit, shape (2**HASH_BITS,): 0 for those that get no weight.

    A feature's weight is penalized less the rarer the feature is (idf) and the more unequally it is spread over both
    kinds of papers (the root of its log-count ratio, after Wang and Manning's NB-SVM, ACL 2012,
    https://aclanthology.org/P12-2018).
    """
    found_in, in_positive = _count(papers.present), _count(papers.present[papers.positive])
    kept = found_in >= recipe.min_papers
    total, positive = found_in[kept], in_positive[kept]
    inverse_frequency = np.log(len(papers.positive) / total) + 1
    among_positive, among_others = positive + 1.0, total - positive + 1.0
    ratio = np.log(among_positive / among_positive.sum()) - np.log(among_others / among_others.sum())
    scales = np.zeros(len(found_in))
    scales[kept] = inverse_frequency * np.sqrt(np.abs(ratio))
    return scales


def round_weights(
    papers: FeatureMatrix, weights: NDArray[np.float64], features: int
) -> tuple[NDArray[np.int16], float]:
    """Keep so many of the weights, shape (2**HASH_BITS,), and round them to integers.

    A weight matters by its size times the root of its feature's frequency among the training papers.

    Returns:
        Shape (2**HASH_BITS,), int16, and what a weight of 1 is worth.
    """
    fitted = np.flatnonzero(weights)
    matters = np.abs(weights[fitted]) * np.sqrt(_count(papers.present)[fitted])
    kept = fitted[np.argsort(-matters, kind="stable")[:features]]
    scale = float(np.abs(weights[kept]).max()) / _LARGEST
    rounded = np.zeros(2**HASH_BITS, dtype=np.int16)
    rounded[kept] = np.rint(weights[kept] / scale)
    return rounded, scale


def _count(present: sparse.csr_matrix) -> NDArray[np.int64]:
    """Count the papers that have each feature, shape (2**HASH_BITS,)."""
    counts = np.zeros(2**HASH_BITS, dtype=np.int64)
    for start in range(0, present.nnz, _COUNTED):
        counts += np.bincount(present.indices[start : start + _COUNTED], minlength=len(counts))
    return counts
