"""Groups of papers that are measured separately: by year, month, primary category, and length of the text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ro32.data.dates import UNKNOWN, month_name
from ro32.evaluation.intervals import Estimate, estimate_decisions
from ro32.evaluation.truth import Truth
from ro32.model.metrics import Confusion, average_precision

LENGTH_EDGES = (300, 600, 900, 1_200, 1_500)  # characters at which groups begin; four in five papers have 600 to 1,500
UNKNOWN_NAME = "unknown"


class Dimension(StrEnum):
    """What papers are grouped by."""

    YEAR = "year"
    MONTH = "month"
    CATEGORY = "category"
    LENGTH = "length"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Measures of one group: a year, a month, a category, or a range of characters.

    A group does not define precision where nothing was called, recall where nothing is listed, F1 where neither is.
    """

    group: str
    papers: int  # those with a score
    listed: int
    confusion: Confusion  # decisions at the model's threshold
    average_precision: float | None  # None if no paper is listed
    decisions: dict[str, Estimate]  # those of `DECISIONS` that the group defines


def group_papers(truth: Truth) -> dict[Dimension, tuple[list[str], NDArray[np.int32]]]:
    """Return for each dimension the names of its groups, in order, and each paper's group, shape (n,).

    Years, months and lengths rise; categories come by how many of their papers are listed, then by how many there are.
    """
    members, listed = (np.bincount(truth.primary[at], minlength=len(truth.categories)) for at in (..., truth.listed))
    order = np.lexsort((-members, -listed))
    lengths = np.searchsorted(LENGTH_EDGES, truth.characters, side="right").astype(np.int32)
    lengths[truth.characters == UNKNOWN] = len(LENGTH_EDGES) + 1
    starts = (0, *LENGTH_EDGES)
    ranges = [f"{start:,} to {end - 1:,}" for start, end in zip(starts, LENGTH_EDGES, strict=False)]
    return {
        Dimension.YEAR: _numbered(truth.year, str),
        Dimension.MONTH: _numbered(truth.month, month_name),
        Dimension.CATEGORY: (
            [truth.categories[at] or UNKNOWN_NAME for at in order.tolist()],
            np.argsort(order).astype(np.int32)[truth.primary],
        ),
        Dimension.LENGTH: ([*ranges, f"{starts[-1]:,} or more", UNKNOWN_NAME], lengths),
    }


def _numbered(values: NDArray[np.int32], name: Callable[[int], str]) -> tuple[list[str], NDArray[np.int32]]:
    distinct, at = np.unique(values, return_inverse=True)
    return [UNKNOWN_NAME if value == UNKNOWN else name(value) for value in distinct.tolist()], at.astype(np.int32)


def slice_by(
    names: Sequence[str],
    groups: NDArray[np.int32],
    *,
    listed: NDArray[np.bool_],
    scores: NDArray[np.float64],
    threshold: float,
) -> list[Slice]:
    """Measure each group of papers that occurs, in the order of the names.

    `groups` has the shape (n,): positions in `names`. Scores are finite.
    """
    cells = groups.astype(np.int64) * 4 + np.where(scores >= threshold, 0, 2) + ~listed
    counts = np.bincount(cells, minlength=4 * len(names)).reshape(-1, 4)  # tp, fp, fn, tn
    occurring = np.flatnonzero(counts.sum(axis=1))
    if not len(occurring):
        return []
    slices = []
    for group, decisions in zip(occurring.tolist(), estimate_decisions(counts[occurring]), strict=True):
        tp, fp, fn, tn = counts[group].tolist()
        wholes = {"accuracy": 1, "precision": tp + fp, "recall": tp + fn, "f1": tp + fp + fn}
        at = np.flatnonzero(groups == group) if tp + fn else None
        slices.append(
            Slice(
                group=names[group],
                papers=tp + fp + fn + tn,
                listed=tp + fn,
                confusion=Confusion(tp=tp, fp=fp, fn=fn, tn=tn),
                average_precision=None if at is None else average_precision(listed[at], scores[at]),
                decisions={name: value for name, value in decisions.items() if wholes[name]},
            )
        )
    return slices
