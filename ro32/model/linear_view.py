"""The linear view: a logistic regression over hashed word n-grams, scored exactly and thousands of papers a second.

    score = bias + scale * (sum of the integer weights of a paper's features) / sqrt(number of its features)

The sum is over integers, so no order of summation, machine or number of threads changes it; what follows are three
operations that IEEE 754 rounds in one way only. So a paper's score is the same to the last bit wherever it is
computed, and can be compared with a fixed cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ro32.errors import BundleError
from ro32.model.ngrams import HASH_BITS, extract

FORMAT = "hashed-ngrams-1"
"""Names what `ro32.model.ngrams` computes: other features need another name, for the weights would fit none of them."""


@dataclass(frozen=True, kw_only=True)
class LinearModel:
    """Integer weights of hashed features. Safe to share between threads.

    Attributes:
        weights: Shape (2**HASH_BITS,), int16: one weight a bucket; most are 0.
        scale: Of a weight of 1, in log-odds.
        bias: Score of a paper without features, in log-odds.
    """

    weights: NDArray[np.int16]
    scale: float
    bias: float

    def __post_init__(self) -> None:
        if self.weights.shape != (2**HASH_BITS,) or self.weights.dtype != np.int16:
            raise BundleError(
                f"linear view: expected {2**HASH_BITS} int16 weights, found {self.weights.shape} {self.weights.dtype}"
            )
        if not (np.isfinite(self.scale) and np.isfinite(self.bias)):
            raise BundleError(f"linear view: scale {self.scale} or bias {self.bias} is not finite")

    def scores(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.float64]:
        """Score n papers of normalized text: log-odds, shape (n,), float64, each a function of that paper alone."""
        chunks = [np.zeros(0)]
        for features in extract(titles, abstracts):
            # float64 adds these integers exactly: their sum stays far below 2**53.
            running = np.append(0.0, np.cumsum(self.weights[features.buckets], dtype=np.float64))
            sums = np.diff(running[features.starts])
            chunks.append(self.bias + self.scale * sums / np.sqrt(np.maximum(features.counts, 1)))
        return np.concatenate(chunks)

    def to_bytes(self) -> bytes:
        """Serialize as safetensors: the buckets that have a weight, their weights, and scale and bias."""
        buckets = np.flatnonzero(self.weights)
        return save(
            {
                f"{FORMAT}.buckets": buckets.astype(np.uint32),
                f"{FORMAT}.weights": self.weights[buckets],
                f"{FORMAT}.scale_bias": np.array([self.scale, self.bias]),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the bytes of `to_bytes`; raise BundleError for others."""
        try:
            tensors = load(data)
            table = np.zeros(2**HASH_BITS, dtype=np.int16)
            table[tensors[f"{FORMAT}.buckets"]] = tensors[f"{FORMAT}.weights"]
            scale, bias = map(float, tensors[f"{FORMAT}.scale_bias"])
        except (SafetensorError, KeyError, ValueError, IndexError, TypeError) as error:
            raise BundleError(
                f"linear view: not of the form {FORMAT} ({error}); update ro32, or export again"
            ) from error
        return cls(weights=table, scale=scale, bias=bias)
