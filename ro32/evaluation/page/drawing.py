"""Coordinates of the values of a chart."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ro32.evaluation.intervals import DECISIONS
from ro32.evaluation.one_model import Evaluation

Point = tuple[float, float]
Tick = tuple[float, str]
SHARES: tuple[Tick, ...] = tuple((step / 5, f"{step / 5:.1f}") for step in range(6))  # ticks from 0 to 1
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_STEPS = 4  # between the ticks of an axis that shows no more than it needs


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The rectangle of a chart in which values are drawn, within margins, all in the chart's units."""

    height: int  # of the whole chart
    width: int = 440  # about as many pixels as a phone shows, so letters keep their size there
    left: int = 46
    right: int = 12
    top: int = 10
    bottom: int = 40
    x: Point = (0.0, 1.0)  # values at the left and the right edge
    y: Point = (0.0, 1.0)  # values at the bottom and the top edge

    @property
    def end(self) -> int:
        """The right edge."""
        return self.width - self.right

    @property
    def base(self) -> int:
        """The bottom edge."""
        return self.height - self.bottom

    @property
    def middle(self) -> float:
        """Half-way between the left and the right edge."""
        return (self.left + self.end) / 2

    def at_x(self, value: float) -> float:
        """Return where a value is drawn."""
        return self.left + (value - self.x[0]) / (self.x[1] - self.x[0]) * (self.end - self.left)

    def at_y(self, value: float) -> float:
        """Return where a value is drawn."""
        return self.base + (value - self.y[0]) / (self.y[1] - self.y[0]) * (self.top - self.base)

    def points(self, values: Iterable[Point]) -> str:
        """Return a line through values as SVG writes it."""
        return " ".join(f"{self.at_x(x):.1f},{self.at_y(y):.1f}" for x, y in values)


def logarithm(count: float) -> float:
    """Return the position of a count on an axis of 0 and powers of ten."""
    return math.log10(1 + count)


def powers_of_ten(top: float) -> list[Tick]:
    """Return the ticks of an axis of such counts, upwards and downwards from 0."""
    powers = range(1, int(top) + 1)
    return [(0, "0"), *((sign * logarithm(10**power), f"{10**power:,}") for power in powers for sign in (1, -1))]


def ticks_around(low: float, high: float) -> list[Tick]:
    """Choose round ticks between which all values lie."""
    step = next(size for size in _STEPS if (high - low) / size <= _MOST_STEPS or size == _STEPS[-1])
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = len(str(step)) - len("0.")
    return [(at * step, f"{at * step:.{digits}f}") for at in range(first, max(last, first + 1) + 1)]


def f1_line(f1: float) -> list[Point]:
    """Return recall and precision where F1 has one value: precision = F1 recall / (2 recall - F1)."""
    return [(x, f1 * x / (2 * x - f1)) for x in np.linspace(f1 / (2 - f1), 1, 40).tolist()]


def curve(item: Evaluation) -> tuple[list[Point], list[Point]]:
    """Return recall and precision along the thresholds, and around them the outline of precision's intervals."""
    points, at = item.points, DECISIONS.index("precision")
    calls = points.counts[:, 0] + points.counts[:, 1] > 0  # where nothing is called, there is no precision
    found, wrong = points.counts[calls, 0], points.counts[calls, 1]
    line, low, high = (
        list(zip((found / item.listed).tolist(), values.tolist(), strict=True))
        for values in (found / (found + wrong), points.low[calls, at], points.high[calls, at])
    )
    return line, [*low, *reversed(high)]
