"""The charts of the page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.throughput.tables import number, spread
from ro32.evaluation.page.frame import Frame, chart, colour, line, polyline, text
from ro32.evaluation.page.markup import Markup, element, join

Bar = tuple[str, Mapping[str, float], int]
"""A name, a median with quartiles, and which colour."""
ROW = 34
TICKS = 5
STEPS = (1, 2, 2.5, 5, 10)


def bars_chart(name: str, title: str, unit: str, bars: Sequence[Bar]) -> Markup:
    """Draw a bar for each thing, its quartiles as a line across its end."""
    frame = Frame(
        height=len(bars) * ROW + 50,
        left=12,
        right=64,
        x=(0, max(value["q3"] for _, value, _ in bars) * 1.02),
        y=(float(len(bars)), 0.0),
    )
    return chart(
        name,
        title,
        "; ".join(f"{label}: {spread(value)} {unit}" for label, value, _ in bars),
        frame.height,
        frame.x_axis(ticks(frame.x[1]), unit),
        *(_bar(frame, row, bar, unit) for row, bar in enumerate(bars)),
    )


def _bar(frame: Frame, row: int, bar: Bar, unit: str) -> Markup:
    label, value, model = bar
    left, end = frame.at_x(0), frame.at_x(value["median"])
    top = frame.at_y(row)
    return element(
        "g",
        element("title", f"{label}: {spread(value)} {unit}"),
        text(left, top + 12, label, class_="name"),
        element("rect", x=left, y=top + 17, width=max(end - left, 1.0), height=11.0, class_="bar"),
        line(frame.at_x(value["q1"]), top + 22.5, frame.at_x(value["q3"]), top + 22.5, class_="quartiles"),
        text(frame.at_x(value["q3"]) + 6, top + 27, number(value["median"]), class_="name"),
        class_=colour(model),
    )


def front_chart(name: str, points: Sequence[tuple[str, float, float]]) -> Markup:
    """Draw average precision against papers/s; both are better above and to the right."""
    top, low = max(point[2] for point in points), min(point[2] for point in points)
    margin = max((top - low) * 0.25, 0.002)
    frame = Frame(
        height=300,
        left=82,
        right=20,
        x=(0, max(point[1] for point in points) * 1.12),
        y=(low - margin, top + margin),
    )
    y_ticks = [(frame.y[0] + step * (frame.y[1] - frame.y[0]) / 4) for step in range(5)]
    return chart(
        name,
        "Quality against speed",
        "; ".join(
            f"{label}: {speed:.1f} papers/s, average precision {quality:.4f}" for label, speed, quality in points
        ),
        frame.height,
        frame.x_axis(ticks(frame.x[1]), "papers/s"),
        frame.y_axis([(tick, f"{tick:.4f}") for tick in y_ticks], "average precision"),
        *(
            element(
                "g",
                element("title", f"{label}: {speed:.1f} papers/s, {quality:.4f}"),
                element("circle", cx=frame.at_x(speed), cy=frame.at_y(quality), r=6, class_="dot"),
                class_=colour(index),
            )
            for index, (label, speed, quality) in enumerate(points)
        ),
    )


def lines_chart(
    name: str,
    title: str,
    axes: tuple[str, str],
    series: Sequence[tuple[str, Sequence[tuple[float, Mapping[str, float]]]]],
) -> Markup:
    """Draw lines from 0 through medians, with their quartiles."""
    most_x = max(x for _, points in series for x, _ in points)
    most_y = max(value["q3"] for _, points in series for _, value in points)
    frame = Frame(height=300, left=56, right=70, x=(0, most_x), y=(0, most_y * 1.05))
    told = "; ".join(
        f"{label}: {', '.join(f'{x:g}: {spread(value)}' for x, value in points)}" for label, points in series
    )
    return chart(
        name,
        title,
        told,
        frame.height,
        frame.x_axis(ticks(most_x), axes[0]),
        frame.y_axis(ticks(frame.y[1]), axes[1]),
        *(_series(frame, index, label, points) for index, (label, points) in enumerate(series)),
    )


def _series(frame: Frame, model: int, label: str, points: Sequence[tuple[float, Mapping[str, float]]]) -> Markup:
    places = [(frame.at_x(x), frame.at_y(value["median"])) for x, value in points]
    return element(
        "g",
        polyline(places, class_="curve"),
        *(
            join(
                line(frame.at_x(x), frame.at_y(value["q1"]), frame.at_x(x), frame.at_y(value["q3"]), class_="whisker"),
                element(
                    "circle",
                    element("title", f"{label}, {x:g}: {spread(value)}"),
                    cx=frame.at_x(x),
                    cy=frame.at_y(value["median"]),
                    r=4,
                    class_="dot",
                ),
            )
            for x, value in points
        ),
        text(places[-1][0] + 8, places[-1][1] + 4, number(points[-1][1]["median"]), class_="name"),
        class_=colour(model),
    )


def shares_chart(name: str, title: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> Markup:
    """Draw what each whole is made of, the largest parts first; the rest is one part."""
    frame = Frame(height=len(rows) * 130 + 10, left=12, right=12, x=(0, 1), y=(float(len(rows)), 0.0), bottom=6)
    return chart(
        name,
        title,
        "; ".join(
            f"{label}: {', '.join(f'{part} {share:.1%}' for part, share in parts.items())}" for label, parts in rows
        ),
        frame.height,
        *(_stack(frame, row, label, parts) for row, (label, parts) in enumerate(rows)),
    )


def _stack(frame: Frame, row: int, label: str, parts: Mapping[str, Any]) -> Markup:
    largest = sorted(parts.items(), key=lambda item: -item[1])
    shown = [*largest[:5], ("all others", sum(share for _, share in largest[5:]))]
    drawn, at = [text(frame.at_x(0), frame.at_y(row) + 14, label, class_="name")], 0.0
    for index, (part, share) in enumerate(shown):
        if share <= 0:
            continue
        x, width = frame.at_x(at), frame.at_x(at + share) - frame.at_x(at)
        column, line_at = index % 2, index // 2
        place_x, place_y = frame.at_x(column * 0.5), frame.at_y(row) + 66 + 19 * line_at
        drawn.append(
            element(
                "g",
                element("title", f"{part}: {share:.1%}"),
                element("rect", x=x, y=frame.at_y(row) + 22, width=max(width - 1, 0.5), height=24.0, class_="bar"),
                element("circle", cx=place_x + 5, cy=place_y - 4, r=4.5, class_="dot"),
                text(place_x + 15, place_y, f"{part} {share:.1%}"),
                class_=colour(index),
            )
        )
        at += share
    return join(*drawn)


def ticks(most: float) -> list[tuple[float, str]]:
    """Choose round ticks from 0 to a bit below the most."""
    rough = most / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in STEPS if factor * power >= rough)
    return [(index * step, f"{index * step:g}") for index in range(int(most / step) + 1)]
