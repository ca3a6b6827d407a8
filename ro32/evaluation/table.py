"""The table that `ro32-eval` prints."""

from collections.abc import Sequence

from ro32.evaluation.intervals import Estimate
from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.results import Results
from ro32.evaluation.slices import Dimension, Slice
from ro32.printable import printable, short

MEASURES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "average_precision": "average precision",
    "calibration_error": "calibration error",
}
"""Measures in the order in which they are shown, and what they are called."""
MEASURED = ("f1", "precision", "recall")  # shown of groups, and of differences
_CELL_CHARS = 100
GROUPS = 20  # categories that are shown, those with the most listed papers; arXiv has some 170


def threshold_text(value: float) -> str:
    """Write a threshold to four digits, to more where these would be all 0 or all 9."""
    digits = 4
    while digits < 12 and round(value, digits) in {0, 1} and value not in {0, 1}:  # noqa: PLR2004
        digits += 1
    return f"{value:.{digits}f}"


def overall(results: Results) -> str:
    """Lay out what was found of all papers, one model a column."""
    items = results.evaluations
    rows = [
        ("", [item.scores.name for item in items]),
        ("papers scored", [f"{item.papers:,}" for item in items]),
        (f"listed in {results.category}", [f"{item.listed:,}" for item in items]),
        ("unscored", [f"{item.unscored:,}" for item in items]),
        ("threshold", [threshold_text(item.scores.threshold) for item in items]),
        *((title, [_estimate(item.measures[name]) for item in items]) for name, title in MEASURES.items()),
        ("true positives", [f"{item.confusion.tp:,}" for item in items]),
        ("false positives", [f"{item.confusion.fp:,}" for item in items]),
        ("false negatives", [f"{item.confusion.fn:,}" for item in items]),
        ("true negatives", [f"{item.confusion.tn:,}" for item in items]),
        ("best F1", [f"{item.best_f1:.4f}" for item in items]),
        ("at threshold", [threshold_text(item.best_threshold) for item in items]),
    ]
    return _aligned([(title, *cells) for title, cells in rows])


def compared(results: Results) -> str:
    """Lay out how the other models differ from the first; empty if there is one alone."""
    if not results.comparisons:
        return ""
    items = results.comparisons
    rows = [
        (f"against {items[0].first}", *(item.second for item in items)),
        ("other labels", *(f"{item.better + item.worse:,}" for item in items)),
        ("better of them", *(f"{item.better:,}" for item in items)),
        ("worse of them", *(f"{item.worse:,}" for item in items)),
        *((MEASURES[name], *(_estimate(item.differences[name], "+") for item in items)) for name in MEASURED),
    ]
    return _aligned(rows)


def by(results: Results, dimension: Dimension) -> str:
    """Lay out the groups of one dimension, one table a model."""
    return "\n\n".join(groups(item, dimension) for item in results.evaluations)


def groups(item: Evaluation, dimension: Dimension) -> str:
    """Lay out the groups of one dimension of one model."""
    header = (f"{item.scores.name}, by {dimension}", "papers", "listed", *(MEASURES[name] for name in MEASURED), "AP")
    found = item.slices[dimension]
    shown = found[:GROUPS] if dimension is Dimension.CATEGORY else found
    more = f"\nand {len(found) - len(shown):,} more" if len(found) > len(shown) else ""
    return _aligned([header, *(_group(group) for group in shown)]) + more


def _group(group: Slice) -> Sequence[str]:
    decisions = (_estimate(group.decisions[name]) if name in group.decisions else "-" for name in MEASURED)
    average = "-" if group.average_precision is None else f"{group.average_precision:.4f}"
    return (group.group, f"{group.papers:,}", f"{group.listed:,}", *decisions, average)


def _estimate(item: Estimate, sign: str = "") -> str:
    return f"{item.value:{sign}.4f} [{item.low:{sign}.4f}, {item.high:{sign}.4f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lay out cells in columns, the first one to the left, all others to the right."""
    rows = [[short(printable(cell), _CELL_CHARS) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    )
