"""The frame of a chart: scales, axes, and what a screen reader is told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ro32.evaluation.page.markup import Attribute, Child, Markup, element, join

WIDTH = 440
"""Of every chart, in its own units: a phone shows about as many pixels, so letters keep their size there."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A rectangle of the chart in which values are drawn.

    Attributes:
        height: Of the whole chart, whose width is `WIDTH`.
        left: Margin, as are right, top and bottom.
        x: Values at the left and the right edge.
        y: Values at the bottom and the top edge.
    """

    height: int
    left: int = 46
    right: int = 12
    top: int = 10
    bottom: int = 40
    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)

    @property
    def x_edges(self) -> tuple[float, float]:
        """Where the left and the right edge are drawn."""
        return self.left, WIDTH - self.right

    @property
    def y_edges(self) -> tuple[float, float]:
        """Where the bottom and the top edge are drawn."""
        return self.height - self.bottom, self.top

    def at_x(self, value: float) -> float:
        """Return where a value is drawn."""
        return _scale(value, self.x, self.x_edges)

    def at_y(self, value: float) -> float:
        """Return where a value is drawn."""
        return _scale(value, self.y, self.y_edges)

    def x_axis(self, ticks: Sequence[tuple[float, str]], title: str) -> Markup:
        """Draw ticks and their labels below the frame."""
        bottom, top = self.y_edges
        labels = (
            join(
                line(self.at_x(value), bottom, self.at_x(value), top, class_="grid"),
                text(self.at_x(value), bottom + 16, label, text_anchor="middle"),
            )
            for value, label in ticks
        )
        middle = sum(self.x_edges) / 2
        return join(*labels, text(middle, self.height - 5, title, text_anchor="middle", class_="axis"))

    def y_axis(self, ticks: Sequence[tuple[float, str]], title: str = "") -> Markup:
        """Draw ticks and their labels to the left of the frame."""
        left, right = self.x_edges
        labels = (
            join(
                line(left, self.at_y(value), right, self.at_y(value), class_="grid"),
                text(left - 6, self.at_y(value) + 4, label, text_anchor="end"),
            )
            for value, label in ticks
        )
        middle = sum(self.y_edges) / 2
        place = f"translate(12 {middle:.0f}) rotate(-90)"
        turned = text(0, 0, title, text_anchor="middle", class_="axis", transform=place)
        return join(*labels, turned if title else None)


COLOURS = 6
"""Models that the style sheet has colours for; a seventh gets the first one's again."""
SHARES = tuple((step / 5, f"{step / 5:.1f}") for step in range(6))
"""Ticks from 0 to 1."""


def chart(name: str, title: str, description: str, height: int, *children: Child, **attributes: Attribute) -> Markup:
    """Return a chart.

    Args:
        name: Distinct among the page's charts.
        title: What it shows.
        description: What is to be seen in it, for those who cannot see it.
        height: In the chart's units.
        *children: What is drawn.
        **attributes: Of the svg element.
    """
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *children,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        id=name,
        **attributes,
    )


def colour(model: int) -> str:
    """Return the class that gives a model its colour."""
    return f"m{model % COLOURS}"


def logarithm(count: float) -> float:
    """Return where a count stands on an axis that begins at 0 and then rises by powers of ten."""
    return math.log10(1 + count)


def polyline(points: Sequence[tuple[float, float]], **attributes: str | None) -> Markup:
    """Draw a line through points."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: str | None) -> Markup:
    """Draw a straight line."""
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def text(x: float, y: float, content: str, **attributes: str | None) -> Markup:
    """Write a line of text."""
    return element("text", content, x=float(x), y=float(y), **attributes)


def _scale(value: float, domain: tuple[float, float], edges: tuple[float, float]) -> float:
    share = (value - domain[0]) / (domain[1] - domain[0])
    return edges[0] + share * (edges[1] - edges[0])
