"""Charts of groups of papers: a dot with its interval for each group and model."""

import math
from collections.abc import Sequence

from ro32.evaluation.intervals import Estimate
from ro32.evaluation.page.frame import SHARES, WIDTH, Frame, chart, colour, line, text
from ro32.evaluation.page.markup import Markup, element, join
from ro32.evaluation.slices import UNKNOWN_NAME, Slice

_ROW = 26
"""Height of a row of dots, and of each further model."""
_FEW = 10
"""Listed papers below which a year's points are pale."""
_TICKS = 6

Row = tuple[str, str, Sequence[Estimate | None]]
"""Name of a group, a remark at the right, and one estimate a model; None where the model has none."""


def rows_chart(
    name: str, title: str, rows: Sequence[Row], *, pale: Sequence[bool] | None = None, zoomed: bool = False
) -> Markup:
    """Draw a row of dots with intervals for each group.

    Args:
        name: Distinct among the page's charts.
        title: What the dots stand for.
        rows: The groups.
        pale: Of each group, whether it rests on too little.
        zoomed: Whether the axis shows no more than the intervals need.
    """
    models = len(rows[0][2])
    each = _ROW + 8 * (models - 1)
    height = len(rows) * each + 44
    low = min(item.low for *_, estimates in rows for item in estimates if item is not None) if zoomed else 0.0
    high = max(item.high for *_, estimates in rows for item in estimates if item is not None) if zoomed else 1.0
    ticks = _ticks(low, high) if zoomed else SHARES
    remarks = any(remark for _, remark, _ in rows)
    frame = Frame(
        height=height,
        left=134,
        right=70 if remarks else 14,
        top=4,
        x=(ticks[0][0], ticks[-1][0]),
        y=(float(len(rows)), 0.0),
    )
    return chart(
        name,
        title,
        "; ".join(f"{group}: {_in_words(estimates)}" for group, _, estimates in rows),
        height,
        frame.x_axis(ticks, title),
        *(
            join(
                text(frame.left - 8, frame.at_y(row + 0.5) + 4, group, text_anchor="end"),
                text(WIDTH - frame.right + 8, frame.at_y(row + 0.5) + 4, remark, class_="small") if remark else None,
                element(
                    "g",
                    *(
                        _dot(model, f"{group}: {title}", item, frame, y=frame.at_y(row + (model + 1) / (models + 1)))
                        for model, item in enumerate(estimates)
                        if item is not None
                    ),
                    class_="pale" if pale and pale[row] else None,
                ),
            )
            for row, (group, remark, estimates) in enumerate(rows)
        ),
    )


def _ticks(low: float, high: float) -> Sequence[tuple[float, str]]:
    """Choose ticks between which all values lie, at most `_TICKS` steps apart."""
    step = next(size for size in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / size <= _TICKS - 2 or size == 0.2)  # noqa: PLR2004
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = 2 if step < 0.1 else 1  # noqa: PLR2004
    return [(at * step, f"{at * step:.{digits}f}") for at in range(first, max(last, first + 1) + 1)]


def _dot(model: int, title: str, item: Estimate, frame: Frame, *, y: float) -> Markup:
    low, value, high = (frame.at_x(number) for number in (item.low, item.value, item.high))
    return element(
        "g",
        element("title", f"{title} {item.value:.3f}, {item.low:.3f} to {item.high:.3f}"),
        line(low, y, high, y, class_="whisker"),
        element("circle", cx=value, cy=y, r=4, class_="dot"),
        class_=colour(model),
    )


def years_chart(by_model: Sequence[Sequence[Slice]]) -> Markup | None:
    """Draw F1 by year, and below it how many papers are listed; None where no year has an F1."""
    known = [
        {int(group.group): group for group in slices if group.group != UNKNOWN_NAME and "f1" in group.decisions}
        for slices in by_model
    ]
    years = sorted({year for slices in known for year in slices})
    if not years:
        return None
    first, last = years[0], years[-1]
    frame = Frame(height=300, bottom=96, x=(first - 0.6, last + 0.6))
    step = max(math.ceil((last - first) / _TICKS), 1)
    return chart(
        "years",
        "F1 by year",
        "; ".join(f"{year}: {_in_words([_f1(slices.get(year)) for slices in known])}" for year in years),
        frame.height,
        frame.y_axis(SHARES, "F1"),
        _listed_bars(frame, known),
        *(
            text(frame.at_x(year), frame.height - 24, str(year), text_anchor="middle")
            for year in range(last, first - 1, -step)
        ),
        text(sum(frame.x_edges) / 2, frame.height - 4, "year", text_anchor="middle", class_="axis"),
        *(
            _year(model, group, frame, at_x=frame.at_x(year + (model - (len(known) - 1) / 2) * 0.24))
            for model, slices in enumerate(known)
            for year, group in slices.items()
        ),
    )


def _listed_bars(frame: Frame, known: Sequence[dict[int, Slice]]) -> Markup:
    groups = {year: group for slices in known for year, group in slices.items()}
    most = max(1, *(group.listed for group in groups.values()))
    base, room, width = frame.height - 40, 36, min((frame.at_x(1) - frame.at_x(0)) * 0.7, 24.0)
    bars = (
        element(
            "rect",
            element("title", f"{year}: {group.listed:,} of {group.papers:,} papers listed"),
            x=frame.at_x(year) - width / 2,
            y=base - room * group.listed / most,
            width=width,
            height=room * group.listed / most,
            class_="count",
        )
        for year, group in groups.items()
    )
    return join(*bars, text(frame.left, base - room + 4, f"listed papers, up to {most:,}", class_="small"))


def _year(model: int, group: Slice, frame: Frame, *, at_x: float) -> Markup:
    item = group.decisions["f1"]
    return element(
        "g",
        element("title", f"{group.group}: F1 {item.value:.3f}, {item.low:.3f} to {item.high:.3f}"),
        line(at_x, frame.at_y(item.low), at_x, frame.at_y(item.high), class_="whisker"),
        element("circle", cx=at_x, cy=frame.at_y(item.value), r=3.5, class_="dot"),
        class_=f"{colour(model)} pale" if group.listed < _FEW else colour(model),
    )


def _f1(group: Slice | None) -> Estimate | None:
    return None if group is None else group.decisions["f1"]


def _in_words(estimates: Sequence[Estimate | None]) -> str:
    return ", ".join("none" if item is None else f"{item.value:.3f}" for item in estimates)
