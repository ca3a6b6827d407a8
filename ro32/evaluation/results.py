"""The results of an evaluation, the source of the table, the JSON and the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ro32.evaluation.comparison import Comparison, compare
from ro32.evaluation.details import Paper, read_details
from ro32.evaluation.explain import Explanation, explain_paper
from ro32.evaluation.one_model import Evaluation, evaluate
from ro32.evaluation.scores import Scores, with_distinct_names
from ro32.evaluation.truth import Truth, TruthColumns
from ro32.model.classifier import Classifier

EXAMPLES = 100  # disagreements and flips of each kind that are shown by default: an evening's reading


@dataclass(frozen=True, kw_only=True)
class Results:
    """What was found."""

    category: str
    inputs: tuple[str, ...]
    truth: Truth
    evaluations: tuple[Evaluation, ...]
    comparisons: tuple[Comparison, ...]  # of each further model with the first
    examples: int  # at most so many disagreements and flips of each kind are shown
    details: Mapping[int, Paper] = field(default_factory=dict)  # the papers that are shown, by row
    explanations: Mapping[tuple[str, int], Explanation] = field(default_factory=dict)  # by the model's name and the row
    finished: datetime = field(default_factory=lambda: datetime.now(UTC))
    tool_version: str = field(default_factory=lambda: version("ro32"))

    def shown(self, rows: Sequence[int] | NDArray[np.intp]) -> list[tuple[int, Paper]]:
        """Return papers to show, at most `examples` of them; those whose details were not read are skipped."""
        return [(row, self.details[row]) for row in map(int, rows[: self.examples]) if row in self.details]


def evaluate_models(
    inputs: Sequence[str], category: str, truth: Truth, scores: Sequence[Scores], *, examples: int = EXAMPLES
) -> Results:
    """Measure at least one model, all on the same n papers, and compare them.

    Raises:
        InputDataError: No scored paper is listed in the category, or a score is no probability.
    """
    named = with_distinct_names(scores)
    comparisons = (compare(truth.listed, named[0], other) for other in named[1:])
    return Results(
        category=category,
        inputs=tuple(inputs),
        truth=truth,
        evaluations=tuple(evaluate(truth, item) for item in named),
        comparisons=tuple(item for item in comparisons if item is not None),
        examples=examples,
    )


def read_shown(results: Results, inputs: Sequence[str], columns: TruthColumns) -> Mapping[int, Paper]:
    """Read the papers that are shown one by one, by row, from the files that were evaluated.

    Raises:
        InputDataError: A file is damaged.
    """
    kinds = chain(
        *((item.disagreements.candidates, item.disagreements.missed) for item in results.evaluations),
        (item.flips for item in results.comparisons),
    )
    return read_details(inputs, {int(row) for rows in kinds for row in rows[: results.examples]}, columns)


def explain_disagreements(
    results: Results, classifiers: Sequence[Classifier | None], papers: int, *, threads: int
) -> Mapping[tuple[str, int], Explanation]:
    """Explain the surest disagreements that are shown, so many candidates and missed papers of each model at most.

    The classifiers stand in the order of the evaluations, None if that of a model is not available; the explanations
    are found by the model's name and the paper's row.
    """
    most = min(papers, results.examples)
    wanted = (
        (item.scores.name, classifier, int(row))
        for item, classifier in zip(results.evaluations, classifiers, strict=True)
        if classifier is not None
        for row in (*item.disagreements.candidates[:most], *item.disagreements.missed[:most])
    )
    return {
        (name, row): explain_paper(classifier, paper.id, paper.title, paper.abstract, threads=threads)
        for name, classifier, row in wanted
        for paper in (results.details[row],)
    }
