"""What a card shows of a bundle: calibration, quality by year, category and length, and the worst errors."""

import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.papers import LabelledPapers
from ro32.evaluation import table
from ro32.evaluation.calibration import wilson
from ro32.evaluation.one_model import evaluate
from ro32.evaluation.scores import Scores
from ro32.evaluation.slices import Dimension
from ro32.refresh.combine import Reliability

RELIABILITY = "reliability.png"
RELIABILITY_BY_SPAN = "reliability_{}.png"
"""Of the spans of years, counted from 0."""
SIZE_INCHES = (6.4, 4.6)
DOTS_PER_INCH = 80
ERRORS = 10
"""Errors shown each way, the most confident ones."""


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
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def report(papers: LabelledPapers, scores: NDArray[np.float32], *, threshold: float, label: str) -> str:
    """Write all of it as Markdown sections, given n papers and their probabilities, shape (n,)."""
    truth = papers.truth
    found = evaluate(truth, Scores(name=label, source=label, digest=None, threshold=threshold, values=scores))
    sections = {f"By {by}": f"```\n{table.groups(found, by)}\n```" for by in Dimension if by is not Dimension.MONTH}
    errors = {
        f"Most confidently called {label}, and not listed there": found.disagreements.candidates,
        f"Listed in {label}, and most confidently missed": found.disagreements.missed,
    }
    for kind, rows in errors.items():
        lines = ["| score | id | title | primary category |", "|---|---|---|---|"]
        for row in rows[:ERRORS].tolist():
            title, primary = papers.titles[row].replace("|", "\\|"), truth.categories[truth.primary[row]]
            lines.append(f"| {scores[row]:.4f} | {papers.ids[row]} | {title} | {primary} |")
        sections[kind] = "\n".join(lines)
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in sections.items())
