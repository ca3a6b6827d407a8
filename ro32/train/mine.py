"""Finds the negatives that resemble positives most, with a linear model over the corpus's own tokens."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from ro32.errors import InputDataError
from ro32.train.corpus import Corpus

PAIR_BUCKETS = 1 << 20
"""Columns for pairs of neighbouring tokens, by a hash; single tokens have a column each besides."""
FIT_PAPERS = 100_000
"""Papers of each kind that one fold's model is fitted on at most: enough for a screen, and it bounds the memory."""
PAPERS_PER_CHUNK = 4_000
INVERSE_REGULARIZATION = 10.0
FOLDS = 2


def linear_scores(
    corpus: Corpus, index: NDArray[np.int64], positive: NDArray[np.bool_], *, seed: int
) -> NDArray[np.float32]:
    """Score m papers by a model that was not fitted on them: log-odds, shape (m,).

    The papers fall into two folds by their id's hash; each fold is scored by a logistic regression over TF-IDF of
    single tokens and token pairs that was fitted on the other. The folds' models being alike, scores are comparable.
    """
    fold = (corpus.id_hashes[index] % np.uint64(FOLDS)).astype(np.int64)
    scores = np.zeros(len(index), dtype=np.float32)
    for held_out in range(FOLDS):
        fitted, mine = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        model = TokenModel(corpus, index[fitted], positive[fitted], seed=seed)
        scores[mine] = model.scores(corpus, index[mine])
    return scores


class TokenModel:
    """A logistic regression over TF-IDF of tokens and token pairs, of at most `FIT_PAPERS` papers of each kind.

    Raises:
        InputDataError: There are papers of one kind only.
    """

    def __init__(self, corpus: Corpus, index: NDArray[np.int64], positive: NDArray[np.bool_], *, seed: int) -> None:
        if positive.all() or not positive.any():
            raise InputDataError(
                f"a linear model learns from papers of both kinds, found {int(positive.sum()):,} positive ones among "
                f"{len(positive):,}; train on more papers"
            )
        rng = np.random.default_rng(seed)
        kinds = [rng.permutation(np.flatnonzero(kind))[:FIT_PAPERS] for kind in (~positive, positive)]
        fitted = np.sort(np.concatenate(kinds))
        counts = sparse.vstack(list(_counts(corpus, index[fitted])), format="csr")
        self._weights = TfidfTransformer(sublinear_tf=True)
        self._model = LogisticRegression(C=INVERSE_REGULARIZATION, solver="liblinear", random_state=seed)
        weighted = self._weights.fit_transform(counts)
        del counts  # the solver copies what it is given twice over; this would be a third
        self._model.fit(weighted, positive[fitted])

    def scores(self, corpus: Corpus, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the log-odds of the papers of `index`, shape (b,)."""
        chunks = [self._model.decision_function(self._weights.transform(c)) for c in _counts(corpus, index)]
        return np.concatenate(chunks).astype(np.float32) if chunks else np.zeros(0, dtype=np.float32)


def _counts(corpus: Corpus, index: NDArray[np.int64]) -> Iterator[sparse.csr_matrix]:
    vocabulary = corpus.vocabulary_size
    for first in range(0, len(index), PAPERS_PER_CHUNK):
        chunk = index[first : first + PAPERS_PER_CHUNK]
        starts, lengths = corpus.starts[chunk], corpus.lengths[chunk]
        rows = [corpus.tokens[s : s + n].astype(np.int64) for s, n in zip(starts, lengths, strict=True)]
        flat = np.concatenate(rows)
        paper = np.repeat(np.arange(len(rows)), lengths)
        same = paper[1:] == paper[:-1]
        # Multiplicative hashing (Knuth, TAOCP 6.4); any fixed odd 64-bit constant spreads the pairs well enough.
        mixed = (flat[:-1] * vocabulary + flat[1:]).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        pair = vocabulary + (mixed >> np.uint64(44)).astype(np.int64)
        column = np.concatenate([flat, pair[same]])
        row = np.concatenate([paper, paper[1:][same]])
        ones = np.ones(len(column), dtype=np.float32)
        yield sparse.csr_matrix((ones, (row, column)), shape=(len(rows), vocabulary + PAIR_BUCKETS))
        corpus.release()
