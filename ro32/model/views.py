"""Combines the views of a paper: a logistic regression of the encoder's and the linear view's log-odds.

    P(positive) = 1 / (1 + exp(-(intercept + encoder * e + linear * l)))

e is the encoder's log-odds of the positive label, l the score of the linear view. The three numbers are fitted on
papers of the true prevalence that no model was trained on, so the result is a probability that means what it says,
although the encoder saw a larger share of positive papers in training.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ro32.errors import BundleError
from ro32.model.fields import check_types


class ViewName(StrEnum):
    """By what a paper is scored."""

    COMBINED = "combined"
    ENCODER = "encoder"
    LINEAR = "linear"


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to score a paper: the numbers of the formula, and the least probability that gets the positive label.

    What has the weight 0 is not asked.
    """

    intercept: float
    encoder: float
    linear: float
    threshold: float

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.threshold < 1:
            raise BundleError(f"a view's threshold {self.threshold} is not between 0 and 1")

    @property
    def weights(self) -> tuple[float, float, float]:
        """All that decides a score: intercept, weight of e, weight of l."""
        return self.intercept, self.encoder, self.linear

    def probability(self, encoder: float, linear: float) -> float:
        """Combine log-odds e and l; NaN if one that is asked is not finite."""
        log_odds = self.intercept
        if self.encoder:
            log_odds += self.encoder * encoder
        if self.linear:
            log_odds += self.linear * linear
        return sigmoid(log_odds) if math.isfinite(log_odds) else math.nan


def sigmoid(log_odds: float) -> float:
    """Turn log-odds into a probability without overflow."""
    if log_odds < 0:
        return math.exp(log_odds) / (1 + math.exp(log_odds))
    return 1 / (1 + math.exp(-log_odds))


def log_odds(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn scores, shape (n,), back into log-odds.

    float32 resolves log-odds to 2e-4 up to a size of 8. Scores of exactly 0 or 1 become the nearest float32 between.
    """
    inside = np.clip(scores, np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))).astype(np.float64)
    return np.asarray(np.log(inside) - np.log1p(-inside))
