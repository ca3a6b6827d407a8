"""Charts of all papers of a model: its curve, its scores, its calibration."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ro32.evaluation.intervals import DECISIONS
from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.page.frame import SHARES, Frame, chart, colour, line, logarithm, polyline, text
from ro32.evaluation.page.markup import Markup, element, join

F1_LINES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Of F1, where lines of equal F1 are drawn."""
_PRECISION = DECISIONS.index("precision")


def precision_recall_chart(items: Sequence[Evaluation]) -> Markup:
    """Draw precision against recall, with the points that the slider moves."""
    frame = Frame(height=380, right=48)
    return chart(
        "curve",
        "Precision against recall",
        f"Each line is a model; along it the threshold falls. {' '.join(_in_words(item) for item in items)}",
        frame.height,
        frame.x_axis(SHARES, "recall"),
        frame.y_axis(SHARES, "precision"),
        *(_f1_line(frame, value) for value in F1_LINES),
        *(_curve(frame, model, item) for model, item in enumerate(items)),
        data_frame=" ".join(f"{edge:.2f}" for edge in (*frame.x_edges, *frame.y_edges)),
    )


def _in_words(item: Evaluation) -> str:
    precision, recall = (item.measures[name].value for name in ("precision", "recall"))
    return f"{item.scores.name}: precision {precision:.3f} and recall {recall:.3f} at its own threshold."


def _curve(frame: Frame, model: int, item: Evaluation) -> Markup:
    called = item.points.counts[:, 0] + item.points.counts[:, 1]
    counts = item.points.counts[called > 0]
    recall = counts[:, 0] / item.listed

    def along(values: NDArray[np.float64]) -> list[tuple[float, float]]:
        return [(frame.at_x(x), frame.at_y(y)) for x, y in zip(recall.tolist(), values.tolist(), strict=True)]

    low, high = (along(bounds[called > 0, _PRECISION]) for bounds in (item.points.low, item.points.high))
    return element(
        "g",
        polyline([*low, *reversed(high)], class_="band"),
        polyline(along(counts[:, 0] / called[called > 0]), class_="curve"),
        element(
            "circle",
            cx=frame.at_x(item.measures["recall"].value),
            cy=frame.at_y(item.measures["precision"].value),
            r=6,
            class_="marker",
            data_marker=model,
        ),
        class_=colour(model),
    )


def _f1_line(frame: Frame, f1: float) -> Markup:
    """Draw where F1 has one value: precision = F1 recall / (2 recall - F1)."""
    recall = np.linspace(f1 / (2 - f1), 1, 40).tolist()
    points = [(frame.at_x(x), frame.at_y(f1 * x / (2 * x - f1))) for x in recall]
    x, y = points[-1]
    return join(polyline(points, class_="level"), text(x + 5, y + 4, f"F1 {f1:.1f}", class_="small"))


def histogram_chart(model: int, item: Evaluation) -> Markup:
    """Draw how scores are spread: listed papers upwards, all others downwards, on axes of powers of ten."""
    listed, others = item.histogram
    top = logarithm(max(*listed, *others)) * 1.08
    frame = Frame(height=280, left=62, right=48, y=(-top, top))
    powers = range(1, int(top) + 1)
    ticks = [(sign * logarithm(10**power), f"{10**power:,}") for power in powers for sign in (1, -1)]
    own, middle = frame.at_x(item.scores.threshold), sum(frame.x_edges) / 2
    return chart(
        f"histogram-{model}",
        "Papers by score",
        f"Of the listed papers, {listed[0]:,} have a score in the lowest and {listed[-1]:,} in the highest of "
        f"{len(listed)} bins; of all others, {others[0]:,} and {others[-1]:,}.",
        frame.height,
        frame.x_axis(SHARES, "score"),
        frame.y_axis([(0, "0"), *ticks], "papers"),
        element("g", *_bars(frame, listed, 1), class_="listed"),
        element("g", *_bars(frame, others, -1), class_="others"),
        line(own, frame.y_edges[0], own, frame.y_edges[1], class_="threshold", data_threshold=str(model)),
        text(middle, frame.y_edges[1] + 14, "listed", text_anchor="middle", class_="name"),
        text(middle, frame.y_edges[0] - 8, "not listed", text_anchor="middle", class_="name"),
        data_frame=" ".join(f"{edge:.2f}" for edge in frame.x_edges),
    )


def _bars(frame: Frame, counts: Sequence[int], direction: int) -> Iterable[Markup]:
    base, width = frame.at_y(0), (frame.at_x(1) - frame.at_x(0)) / len(counts)
    for at, count in enumerate(counts):
        if count:
            height = abs(frame.at_y(logarithm(count)) - base)
            yield element(
                "rect",
                element("title", f"{at / len(counts):.2f} to {(at + 1) / len(counts):.2f}: {count:,}"),
                x=frame.at_x(at / len(counts)) + 0.5,
                y=base - height if direction > 0 else base,
                width=width - 1,
                height=height,
            )


def calibration_chart(items: Sequence[Evaluation]) -> Markup:
    """Draw the share listed against the mean score, bin by bin."""
    frame = Frame(height=380)
    errors = (f"{item.scores.name}: error {item.calibration.error.value:.4f}." for item in items)
    return chart(
        "calibration",
        "Share listed against score",
        f"On the diagonal, scores mean what they say. {' '.join(errors)}",
        frame.height,
        frame.x_axis(SHARES, "mean score of a bin"),
        frame.y_axis(SHARES, "share of its papers listed"),
        line(frame.at_x(0), frame.at_y(0), frame.at_x(1), frame.at_y(1), class_="diagonal"),
        *(_bins(frame, model, item) for model, item in enumerate(items)),
    )


def _bins(frame: Frame, model: int, item: Evaluation) -> Markup:
    marks, points = [], []
    for part in item.calibration.bins:
        if part.mean_score is None or part.low is None or part.high is None:
            continue
        x, y = frame.at_x(part.mean_score), frame.at_y(part.listed / part.papers)
        points.append((x, y))
        marks.append(
            element(
                "g",
                element("title", f"{part.start:.1f} to {part.end:.1f}: {part.listed:,} of {part.papers:,} listed"),
                line(x, frame.at_y(part.low), x, frame.at_y(part.high), class_="whisker"),
                element("circle", cx=x, cy=y, r=4, class_="dot"),
            )
        )
    return element("g", polyline(points, class_="curve thin"), *marks, class_=colour(model))
