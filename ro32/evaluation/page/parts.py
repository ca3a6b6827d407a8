"""What the sections of the page are put together from."""

from collections.abc import Iterable, Sequence

from ro32.evaluation.intervals import Estimate
from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.page.frame import colour
from ro32.evaluation.page.markup import Child, Markup, element, join
from ro32.evaluation.results import Results
from ro32.evaluation.slices import Slice
from ro32.evaluation.table import MEASURED

SMALL = frozenset({"accuracy", "calibration_error"})
"""Measures that a fourth digit tells something of."""
MINUS = "\N{MINUS SIGN}"


def section(name: str, title: str, *children: Child) -> Markup:
    """Return a section of the page."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def pair(*children: Child) -> Markup:
    """Put things side by side, or below each other where there is no room."""
    return element("div", *children, class_="pair")


def figure(drawn: Markup) -> Markup:
    """Return a chart as a figure."""
    return element("figure", drawn)


def details(summary: str, *children: Child, opened: bool = False) -> Markup:
    """Return what is shown when it is asked for."""
    return element("details", element("summary", summary), *children, open=opened)


def swatch(model: int, item: Evaluation, name: str = "b") -> Markup:
    """Return the name of a model beside its colour."""
    return element(name, item.scores.name, class_=f"swatch {colour(model)}")


def of_model(results: Results, model: int, *children: Child) -> Markup:
    """Mark what speaks of one model alone, with its name where there are several."""
    if len(results.evaluations) == 1:
        return join(*children)
    name = element("p", swatch(model, results.evaluations[model]), class_="of-model")
    return element("div", name, *children, data_model=model)


def table(caption: str, header: Sequence[Child], rows: Iterable[Sequence[Child]], class_: str | None = None) -> Markup:
    """Return a table; its rows begin with their names."""
    # A wide table scrolls by itself, by keyboard too, so that the page never does.
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *(element("th", cell, scope="col") for cell in header))),
            element("tbody", *(_row(row) for row in rows)),
            class_=class_,
        ),
        class_="scrolling",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def slice_row(group: Slice) -> Sequence[Child]:
    """Return the cells of a group of papers."""
    decisions = (estimate(group.decisions[name]) if name in group.decisions else "-" for name in MEASURED)
    average = "-" if group.average_precision is None else f"{group.average_precision:.3f}"
    return (group.group, f"{group.papers:,}", f"{group.listed:,}", *decisions, average)


def estimate(item: Estimate, digits: int = 3, sign: str = "") -> Markup:
    """Write a figure and its interval."""
    value, low, high = (
        f"{number:{sign}.{digits}f}".replace("-", MINUS) for number in (item.value, item.low, item.high)
    )
    return join(element("b", value), " ", element("small", f"{low} to {high}"))


def _row(cells: Sequence[Child]) -> Markup:
    return element("tr", element("th", cells[0], scope="row"), *(element("td", cell) for cell in cells[1:]))
