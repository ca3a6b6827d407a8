"""Trains the linear view: a logistic regression over all papers' hashed n-grams, pruned and rounded to integers."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ro32.errors import InputDataError
from ro32.model.linear_view import LinearModel
from ro32.model.ngrams import HASH_BITS, extract
from ro32.model.text import normalize
from ro32.train.dump import Dump

_LARGEST = np.iinfo(np.int16).max
_MAX_ITERATIONS = 40
"""Passes of the solver. It needs about 25 to its tolerance; the limit keeps an odd recipe from running for hours."""


@dataclass(frozen=True, kw_only=True)
class LinearRecipe:
    """What decides the linear view besides the papers. docs/decisions.md has the measurements behind the defaults.

    Attributes:
        category: A paper is positive when its categories name this one anywhere.
        min_papers: A feature in fewer training papers gets no weight.
        inverse_regularization: C of the logistic regression.
        features: How many features keep a weight; those whose weights matter most over all papers.
        seed: Of the order in which the solver visits papers.
    """

    category: str = "cs.RO"
    min_papers: int = 3
    inverse_regularization: float = 10.0
    features: int = 320_000
    seed: int = 20230227


@dataclass(frozen=True, kw_only=True)
class FeatureMatrix:
    """n papers as the solver sees them.

    Attributes:
        present: Shape (n, 2**HASH_BITS), float32, sparse: 1 / sqrt(number of the paper's features) where it has one.
        positive: Shape (n,): is the paper listed in the category?
    """

    present: sparse.csr_matrix
    positive: NDArray[np.bool_]


def read_features(dump: Dump, category: str, *, on_rows: Callable[[int], object] = lambda _rows: None) -> FeatureMatrix:
    """Extract the features of all papers of a dump.

    Args:
        dump: Papers with their categories.
        category: What makes a paper positive.
        on_rows: Called with the number of rows done since the last call.

    Raises:
        InputDataError: The dump is damaged, or not both kinds of papers are in it.
    """
    papers = stack_features(dump.frames(), category, on_rows=on_rows)
    check_both_kinds(papers.positive, f"{dump.path}", category)
    return papers


def check_both_kinds(positive: NDArray[np.bool_], where: str, category: str) -> None:
    """Check that there are papers of both kinds.

    Raises:
        InputDataError: There is only one.
    """
    if positive.all() or not positive.any():
        raise InputDataError(f"{where}: expected papers inside and outside of {category}, found only one kind")


def stack_features(
    frames: Iterable[pl.DataFrame], category: str, *, on_rows: Callable[[int], object] = lambda _rows: None
) -> FeatureMatrix:
    """Extract the features of the papers of frames with the columns title, abstract and categories."""
    buckets: list[NDArray[np.uint32]] = []
    counts: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    positive: list[NDArray[np.bool_]] = [np.zeros(0, dtype=np.bool_)]
    for frame in frames:
        texts = frame.select(normalize(pl.col("title", "abstract")))
        for features in extract(texts["title"].to_list(), texts["abstract"].to_list()):
            buckets.append(features.buckets)
            counts.append(features.counts)
        positive.append(is_listed(frame["categories"], category))
        on_rows(len(frame))
    each = np.concatenate(counts)
    columns = np.concatenate([np.zeros(0, dtype=np.uint32), *buckets]).view(np.int32)  # `HASH_BITS` fit into either
    del buckets  # 2 kB a paper or so, which the rest of the work needs
    values = np.repeat((1 / np.sqrt(np.maximum(each, 1))).astype(np.float32), each)
    rows = np.append(0, np.cumsum(each))
    present = sparse.csr_matrix((values, columns, rows), shape=(len(each), 2**HASH_BITS))
    return FeatureMatrix(present=present, positive=np.concatenate(positive))


def drop_rare(papers: FeatureMatrix, min_papers: int) -> FeatureMatrix:
    """Leave out the features of fewer papers, which `fit` gives no weight: two in five, and as much memory."""
    present = papers.present
    frequent = np.bincount(present.indices, minlength=2**HASH_BITS) >= min_papers
    kept = frequent[present.indices]
    rows = np.append(0, np.cumsum(kept))[present.indptr]
    smaller = sparse.csr_matrix((present.data[kept], present.indices[kept], rows), shape=present.shape)
    return FeatureMatrix(present=smaller, positive=papers.positive)


def add_negatives(papers: FeatureMatrix, negatives: Dump) -> FeatureMatrix:
    """Append the papers of a dump, which count as negative whatever they are.

    Raises:
        InputDataError: The dump is damaged.
    """
    more = stack_features(negatives.frames(), "")
    present = sparse.vstack([papers.present, more.present], format="csr")
    return FeatureMatrix(present=present, positive=np.append(papers.positive, np.zeros_like(more.positive)))


def is_listed(categories: pl.Series, category: str) -> NDArray[np.bool_]:
    """Return which of n papers list a category among theirs, which are separated by single spaces."""
    return categories.cast(pl.String).fill_null("").str.split(" ").list.contains(category).to_numpy()


def fit(papers: FeatureMatrix, recipe: LinearRecipe, each: NDArray[np.float64] | None = None) -> LinearModel:
    """Fit the linear view, on papers that may have weights, shape (n,).

    A feature's weight is penalized less the rarer the feature is (idf) and the more unequally it is spread over both
    kinds of papers (the root of its log-count ratio, after Wang and Manning's NB-SVM, ACL 2012,
    https://aclanthology.org/P12-2018). Both only scale the columns, and are part of the weights in the end.
    """
    model, columns, weights = fit_exactly(papers, recipe, each)
    rounded, scale = round_weights(papers, columns, weights, recipe.features)
    return LinearModel(weights=rounded, scale=scale, bias=float(model.intercept_[0]))


def score_features(model: LinearModel, papers: FeatureMatrix) -> NDArray[np.float64]:
    """Return the scores that the model gives these papers, shape (n,), but for the last bits."""
    return np.asarray(model.bias + model.scale * (papers.present @ model.weights.astype(np.float64)))


def fit_exactly(
    papers: FeatureMatrix, recipe: LinearRecipe, each: NDArray[np.float64] | None = None
) -> tuple[LogisticRegression, NDArray[np.int64], NDArray[np.float64]]:
    """Fit without pruning or rounding.

    Returns:
        The regression, the buckets it was fitted on, shape (m,), and their weights for `FeatureMatrix.present`.
    """
    found_in = np.bincount(papers.present.indices, minlength=2**HASH_BITS)
    columns = np.flatnonzero(found_in >= recipe.min_papers)
    found_in = found_in[columns]
    kept = papers.present[:, columns]
    in_positive = np.bincount(kept[papers.positive].indices, minlength=len(columns))
    scales = _idf(found_in, len(papers.positive)) * np.sqrt(np.abs(_log_count_ratio(in_positive, found_in)))
    kept.data *= scales.astype(np.float32)[kept.indices]
    model = LogisticRegression(
        C=recipe.inverse_regularization,
        solver="liblinear",
        dual=True,  # coordinate descent over papers: six times faster here than the primal, to the same figures
        tol=1e-2,
        max_iter=_MAX_ITERATIONS,
        random_state=recipe.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 passes instead of 40 gave the same four digits
        model.fit(kept, papers.positive, sample_weight=each)
    return model, columns, model.coef_[0] * scales


def round_weights(
    papers: FeatureMatrix, columns: NDArray[np.int64], weights: NDArray[np.float64], features: int
) -> tuple[NDArray[np.int16], float]:
    """Keep the weights that matter most, and round them to integers.

    Args:
        papers: The training papers.
        columns: Buckets, shape (m,).
        weights: Their weights, shape (m,).
        features: How many to keep at most. A weight matters by its size times the root of its feature's frequency.

    Returns:
        Shape (2**HASH_BITS,), int16, and what a weight of 1 is worth.
    """
    found_in = np.bincount(papers.present.indices, minlength=2**HASH_BITS)[columns]
    kept = np.argsort(-np.abs(weights) * np.sqrt(found_in), kind="stable")[:features]
    scale = float(np.abs(weights[kept]).max()) / _LARGEST
    rounded = np.zeros(2**HASH_BITS, dtype=np.int16)
    rounded[columns[kept]] = np.rint(weights[kept] / scale)
    return rounded, scale


def _idf(found_in: NDArray[np.int64], papers: int) -> NDArray[np.float64]:
    return np.asarray(np.log(papers / found_in) + 1)


def _log_count_ratio(in_positive: NDArray[np.int64], found_in: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log of a feature's share among positive papers' features over that among the others', add-one."""
    positive, negative = in_positive + 1.0, found_in - in_positive + 1.0
    return np.asarray(np.log(positive / positive.sum()) - np.log(negative / negative.sum()))
