"""The papers of each step: a pure function of the recipe's seed and the epoch."""

import numpy as np
from numpy.typing import NDArray

GROUP_STEPS = 50
"""Steps whose papers are sorted by length together, as transformers' LengthGroupedSampler does."""


def plan_epoch(lengths: NDArray[np.int64], *, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Order one epoch's n papers into steps of papers of similar length: an array of positions for each step.

    Papers are shuffled, sorted by length within groups of `GROUP_STEPS` steps, cut into steps, and the steps shuffled.
    Every paper occurs once; only the last of the steps, before they are shuffled, may be short. Epochs count from 0.
    `lengths` are in tokens, shape (n,).
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    group = batch_size * GROUP_STEPS
    steps: list[NDArray[np.int64]] = []
    for first in range(0, len(order), group):
        papers = order[first : first + group]
        papers = papers[np.argsort(-lengths[papers], kind="stable")]
        steps += [papers[at : at + batch_size] for at in range(0, len(papers), batch_size)]
    return [steps[at] for at in rng.permutation(len(steps))]
