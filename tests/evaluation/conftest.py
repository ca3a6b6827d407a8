"""Results to report on: the sample by two models, and papers that try to break out of the page."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ro32.evaluation.results import Results, evaluate_models, explain_disagreements, read_shown
from ro32.evaluation.scores import Scores, read_scores
from ro32.evaluation.truth import TruthColumns, read_truth
from ro32.model.classifier import Classifier

ATTACKS = (
    "<script>document.title = 'owned'</script>",
    "</script><script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title = 'owned'\">",
    '"><svg onload="document.title = \'owned\'">',
    "<!-- ]]> {{7*7}} ${7*7} javascript:alert(1)",
    "A bound of $\\alpha < \\beta$ & \\textit{more}",
    "\u202eright to left",
    "</textarea></title></style><base href='https://example.org/'>",
)
"""Titles of papers in the hostile dump."""


def results_of(inputs: list[str], scores: list[Scores], examples: int = 30) -> Results:
    """Measure, and read the papers that are shown."""
    truth = read_truth(inputs, "cs.RO")
    results = evaluate_models(inputs, "cs.RO", truth, scores, examples=examples)
    return replace(results, details=read_shown(results, inputs, TruthColumns()))


@pytest.fixture(scope="session")
def scores(tiny_labels: Path, papers_path: Path) -> Scores:
    return read_scores(tiny_labels, read_truth([str(papers_path)], "cs.RO"))


@pytest.fixture(scope="session")
def one_model(scores: Scores, papers_path: Path) -> Results:
    """The sample by the tiny bundle."""
    return results_of([str(papers_path)], [scores])


@pytest.fixture(scope="session")
def explained(one_model: Results, classifier: Classifier) -> Results:
    """The same, with the words that moved the scores of three disagreements of each kind."""
    return replace(one_model, explanations=explain_disagreements(one_model, [classifier], 3, threads=1))


@pytest.fixture(scope="session")
def two_models(scores: Scores, papers_path: Path) -> Results:
    """The sample by the tiny bundle, at its own threshold and at another one."""
    return results_of([str(papers_path)], [scores, replace(scores, name="stricter", threshold=0.9)])


@pytest.fixture(scope="session")
def hostile(
    scores: Scores, papers_path: Path, classifier: Classifier, tmp_path_factory: pytest.TempPathFactory
) -> Results:
    """Papers whose ids, titles and abstracts are markup, some explained; model and file of such names."""
    path = tmp_path_factory.mktemp("hostile") / "<b onmouseover='x'>.parquet"
    attack = pl.Series(ATTACKS).gather(pl.int_range(2_000, eager=True) % len(ATTACKS))
    papers = pl.read_parquet(papers_path)
    papers.with_columns(
        id=pl.format("{}{}", pl.col("id"), pl.lit("\"><b onclick='x'>")),
        title=attack,
        abstract=attack,
    ).write_parquet(path)
    model = replace(scores, name="<img src=x onerror=alert(1)>", source="</script>", threshold=0.02)
    results = results_of([str(path)], [model], examples=200)
    return replace(results, explanations=explain_disagreements(results, [classifier], 20, threads=1))
