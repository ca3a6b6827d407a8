"""The held-out papers, and those of them that the encoder scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ro32.data.dates import UNKNOWN
from ro32.refresh.census import Census


@dataclass(frozen=True, kw_only=True)
class Division:
    """The use of each row of a dump. Shapes are (n,), bool; no row is in both sets.

    Attributes:
        training: The linear view is fitted on these.
        held_out: The bundle is calibrated, certified and judged on these.
        recent: Those of `held_out` that are new enough to be calibrated and judged on.
        weight: Shape (n,), float64: for how many papers one of `training` speaks.
    """

    training: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    recent: NDArray[np.bool_]
    weight: NDArray[np.float64]


def divide(
    census: Census, *, since: int, share: float, most_training: int, most_held_out: int, enough: int
) -> Division:
    """Divide the rows of a dump by the hash of the papers' ids.

    Args:
        census: Of the dump.
        since: First month of the papers that are new.
        share: Of the papers that are held out, whatever their age.
        most_training: Papers to train on at most: all positives as far as they fit, and others by their hash.
        most_held_out: Papers to hold in memory at most: the new ones with the lowest hashes.
        enough: Held-out papers that a certificate needs; where fewer are new, the newest of the older ones join them.
    """
    held_out = census.latest & (census.draw < share)
    recent = held_out & (census.month >= since) & (census.month != UNKNOWN)
    kept = _lowest(recent, census.draw, most_held_out)
    missing = enough - int(kept.sum())
    older = _lowest(held_out & ~recent, -census.month.astype(np.float64) + census.draw, max(missing, 0))
    training = census.latest & ~held_out
    weight = np.ones(len(census))
    if training.sum() > most_training:
        positives, others = training & census.positive, training & ~census.positive
        most = min(int(positives.sum()), most_training // 2)
        training = np.zeros(len(census), dtype=np.bool_)
        for kind, count in ((positives, most), (others, most_training - most)):
            drawn = _lowest(kind, census.draw, count)
            weight[drawn] = kind.sum() / max(int(drawn.sum()), 1)
            training |= drawn
    return Division(training=training, held_out=kept | older, recent=kept, weight=weight)


def choose_scored(
    positive: NDArray[np.bool_], hardness: NDArray[np.float64], draw: NDArray[np.float64], *, hard: int, random: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the held-out papers that the encoder scores, and for how many each speaks.

    All positives and the hardest others speak for themselves; of the rest, those with the lowest hashes speak for all.

    Args:
        positive: Shape (n,).
        hardness: Shape (n,): how likely a paper is to be taken for a positive one; the higher, the harder.
        draw: Shape (n,): by the hash of the papers' ids.
        hard: How many of the hardest.
        random: How many papers to draw at random, whatever their kind: those with the lowest hashes.

    Returns:
        Rows in ascending order, and for how many of the n papers each speaks, both of the same shape.
    """
    sure = positive | _lowest(~positive, -hardness, hard)
    drawn = _lowest(np.ones(len(positive), dtype=np.bool_), draw, random)
    rest = np.flatnonzero(drawn & ~sure)
    left = int((~sure).sum())
    if left and not len(rest):
        rest = np.flatnonzero(~sure)[:1]
    counts = np.ones(len(positive), dtype=np.int64)
    if len(rest):
        counts[rest] = left // len(rest)
        counts[rest[: left % len(rest)]] += 1
    rows = np.union1d(np.flatnonzero(sure), rest)
    return rows, counts[rows]


def _lowest(among: NDArray[np.bool_], keys: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """Mark the rows of the lowest keys among some rows."""
    rows = np.flatnonzero(among)
    chosen = np.zeros(len(among), dtype=np.bool_)
    chosen[rows[np.argsort(keys[rows], kind="stable")[:count]]] = True
    return chosen
