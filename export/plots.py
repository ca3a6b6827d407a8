"""The chart that the export adds to the card: calibration of the probabilities."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ro32.evaluation.calibration import wilson
from ro32.refresh.combine import Reliability

RELIABILITY = "reliability.png"
RELIABILITY_BY_SPAN = "reliability_{}.png"
"""Of the spans of years, counted from 0."""
SIZE_INCHES = (6.4, 4.6)
DOTS_PER_INCH = 80


def plot_reliability(bins: Reliability, label: str) -> bytes:
    """Draw the share of positive papers against the probability that they were given, and how many papers that were.

    Returns:
        A PNG file, the same bytes for the same bins and the same matplotlib.
    """
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    shares.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="what the probability says")
    low, high = wilson(bins.observed * bins.papers, bins.papers)
    errors = np.clip([bins.observed - low, high - bins.observed], 0, None)
    shares.errorbar(bins.predicted, bins.observed, yerr=errors, fmt="o", capsize=3, label="found, 95 % interval")
    shares.set(ylabel=f"share listed in {label}", xlim=(0, 1), ylim=(0, 1.02))
    shares.grid(alpha=0.3)
    shares.legend(loc="upper left")
    counts.bar(bins.predicted, bins.papers, width=0.04)
    counts.set(xlabel="probability, cross-fitted", ylabel="papers", yscale="log")
    counts.grid(alpha=0.3, axis="y")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()
