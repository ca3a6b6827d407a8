"""Quality by year, category and length, and the worst errors, for the card."""

import numpy as np
from numpy.typing import NDArray

from export.papers import LabelledPapers
from ro32.evaluation import table
from ro32.evaluation.one_model import evaluate
from ro32.evaluation.scores import Scores
from ro32.evaluation.slices import Dimension

ERRORS = 10
"""Errors shown each way, the most confident ones."""


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
