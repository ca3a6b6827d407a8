"""The sections of the page that speak of scores: what each threshold buys, and whether scores mean what they say."""

import json
from collections.abc import Sequence

from ro32.evaluation.calibration import Bin
from ro32.evaluation.intervals import Estimate
from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.page import charts
from ro32.evaluation.page.markup import Child, Markup, element
from ro32.evaluation.page.parts import details, estimate, figure, of_model, pair, section, swatch, table
from ro32.evaluation.results import Results
from ro32.evaluation.table import MEASURED, MEASURES, threshold_text


def thresholds(results: Results) -> Markup:
    """Show what each threshold buys: by a slider, and in a table for readers without scripts."""
    items = results.evaluations
    return section(
        "thresholds",
        "What each threshold buys",
        element(
            "p",
            f"A paper is called {results.category} when its score is at least the threshold. "
            "A low one finds more of the listed papers, a high one is right more often.",
        ),
        pair(
            element(
                "div",
                _chooser(),
                *(of_model(results, model, _targets(item)) for model, item in enumerate(items)),
            ),
            element(
                "div",
                figure(charts.precision_recall_chart(items)),
                *(
                    of_model(results, model, figure(charts.histogram_chart(model, item)))
                    for model, item in enumerate(items)
                ),
            ),
        ),
    )


def _chooser() -> Markup:
    """Return the slider and what it moves; the script fills it in and shows it."""
    gauges = (
        element(
            "div",
            element("b", MEASURES[name]),
            element("output", id=f"at-{name}", for_="threshold"),
            element("small", id=f"range-{name}"),
        )
        for name in MEASURED
    )
    return element(
        "div",
        element(
            "p", element("label", "Threshold", for_="threshold"), element("output", id="at-threshold", for_="threshold")
        ),
        element("input", type="range", id="threshold", min=0, max=1, step=1, value=0),
        element("p", element("span", "finds more"), element("span", "is right more often"), class_="ends"),
        element("div", *gauges, class_="gauges"),
        element("p", id="in-words", aria_live="polite"),
        element("div", id="presets", class_="presets", role="group", aria_label="Thresholds to jump to"),
        class_="chooser",
        hidden=True,
    )


def _targets(item: Evaluation) -> Markup:
    wanted = [
        *((f"precision {target:.0%}", at) for target, at in item.for_precision.items()),
        *((f"recall {target:.0%}", at) for target, at in item.for_recall.items()),
    ]
    header = ("at least", "threshold", "precision", "recall", "called")
    rows = [(name, *_bought(item, at)) for name, at in wanted]
    return table("Thresholds that buy a precision, or a recall", header, rows, class_="targets")


def _bought(item: Evaluation, threshold: float | None) -> Sequence[str]:
    if threshold is None:
        return ("none", "-", "-", "-")
    at = int(item.points.thresholds.searchsorted(threshold))
    tp, fp, fn, _ = item.points.counts[at].tolist()
    return (threshold_text(threshold), f"{tp / max(tp + fp, 1):.3f}", f"{tp / (tp + fn):.3f}", f"{tp + fp:,}")


def calibration(results: Results) -> Markup:
    """Show whether scores mean what they say."""
    items = results.evaluations
    header = ("score", "papers", "listed", "share listed", "mean score")
    tables = (table(item.scores.name, header, map(_bin, item.calibration.bins)) for item in items)
    return section(
        "calibration-section",
        "Do scores mean what they say?",
        pair(
            figure(charts.calibration_chart(items)),
            element(
                "div",
                element(
                    "p",
                    "Of the papers with a score near 0.7, about seven in ten ought to be listed. Above the diagonal "
                    "scores are too modest, below it too sure. Most papers are in the bin at the lower left.",
                ),
                *(_error(model, item) for model, item in enumerate(items)),
                details("Figures of the bins", *tables),
            ),
        ),
    )


def _error(model: int, item: Evaluation) -> Markup:
    found = item.calibration
    return element(
        "p",
        swatch(model, item),
        ": expected calibration error ",
        estimate(found.error, 4),
        f". The mean score is {found.mean_score:.4f}, the share listed {item.listed / item.papers:.4f}.",
    )


def _bin(part: Bin) -> Sequence[Child]:
    name, counts = f"{part.start:.1f} to {part.end:.1f}", (f"{part.papers:,}", f"{part.listed:,}")
    if part.mean_score is None or part.low is None or part.high is None:
        return (name, *counts, "-", "-")
    share = Estimate(value=part.listed / part.papers, low=part.low, high=part.high)
    return (name, *counts, estimate(share), f"{part.mean_score:.3f}")


def data(results: Results) -> Markup:
    """Return what the script needs, as JSON in an element that is not run."""
    body = {"category": results.category, "models": [_points(item) for item in results.evaluations]}
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    # No "<", and so no end tag, can stand in it.
    return element("script", Markup(text.replace("<", "\\u003c")), type="application/json", id="data")


def _points(item: Evaluation) -> dict[str, object]:
    points = item.points
    presets = [
        ("its own", item.scores.threshold),
        ("best F1", item.best_threshold),
        *((f"precision {target:.0%}", at) for target, at in item.for_precision.items() if at is not None),
        *((f"recall {target:.0%}", at) for target, at in item.for_recall.items()),
    ]
    return {
        "thresholds": points.thresholds.tolist(),
        "counts": points.counts.tolist(),
        "low": points.low.round(7).tolist(),
        "high": points.high.round(7).tolist(),
        "presets": [[name, int(points.thresholds.searchsorted(at))] for name, at in presets],
    }
