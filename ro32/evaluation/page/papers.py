"""The sections of the page that show papers: where models differ, and where a model and arXiv do."""

from collections.abc import Sequence

from ro32.evaluation.comparison import Comparison
from ro32.evaluation.details import Paper
from ro32.evaluation.explain import Explanation
from ro32.evaluation.one_model import CONFIDENT, Evaluation
from ro32.evaluation.page.explained import effects, marked, strongest_words
from ro32.evaluation.page.frame import colour
from ro32.evaluation.page.markup import Markup, element, join
from ro32.evaluation.page.parts import details, estimate, of_model, section, table
from ro32.evaluation.results import Results
from ro32.evaluation.table import MEASURED, MEASURES

_SHOWN = 10
"""Papers of a list that are shown at once; the others are when they are asked for."""


def flips(results: Results) -> Markup | None:
    """Show which labels differ between models, and whether that is for the better."""
    if not results.comparisons:
        return None
    return section("flips", "Model against model", *(_flips(results, item) for item in results.comparisons))


def _flips(results: Results, item: Comparison) -> Markup:
    models = [results.evaluation(name) for name in (item.first, item.second)]
    rows = [(MEASURES[name], estimate(item.differences[name], 4, "+")) for name in MEASURED]
    return element(
        "article",
        element("h3", f"{item.second} against {item.first}"),
        element(
            "p",
            f"{item.better + item.worse:,} of {item.papers:,} papers get another label: {item.better:,} for the "
            f"better, {item.worse:,} for the worse. {_told(results, len(item.flips), 'that differ the most')}",
        ),
        table(f"{item.second} minus {item.first}, on the same papers", ("", "difference"), rows, class_="narrow"),
        _list(results, item.flips.tolist(), models),
    )


def disagreements(results: Results) -> Markup:
    """Show the papers on which a model and arXiv disagree."""
    return section(
        "disagreements",
        "Disagreements",
        element(
            "p",
            "Where a model is sure and arXiv says otherwise, either may be right: read the abstract and decide.",
            " Where words stand below a title, they raised (+) or lowered (\N{MINUS SIGN}) the score."
            if results.explanations
            else None,
        ),
        *(
            of_model(results, model, _candidates(results, item), _missed(results, item))
            for model, item in enumerate(results.evaluations)
        ),
    )


def _candidates(results: Results, item: Evaluation) -> Markup:
    found = item.disagreements
    return element(
        "article",
        element("h3", "Candidates for a cross-list"),
        element(
            "p",
            f"{len(found.candidates):,} papers are called {results.category} and not listed there, "
            f"{found.confident_candidates:,} of them with a score of at least {CONFIDENT}. "
            f"{_told(results, len(found.candidates), 'with the highest scores')}",
        ),
        _list(results, found.candidates.tolist(), [item]),
    )


def _missed(results: Results, item: Evaluation) -> Markup:
    found = item.disagreements
    return element(
        "article",
        element("h3", "Listed, and not recognized"),
        element(
            "p",
            f"{len(found.missed):,} papers are listed in {results.category} and not called so, "
            f"{found.confident_missed:,} of them with a score of at most {1 - CONFIDENT:.1f}. "
            f"{_told(results, len(found.missed), 'with the lowest scores')}",
        ),
        _list(results, found.missed.tolist(), [item]),
    )


def _told(results: Results, count: int, which: str) -> str:
    return f"Here are the {results.examples:,} {which}." if count > results.examples > 0 else ""


def _list(results: Results, rows: Sequence[int], models: Sequence[Evaluation]) -> Markup | None:
    """List papers: what models say, what arXiv says, and enough text to decide who is right."""
    items = [_paper(results, row, models) for row in rows[: results.examples] if row in results.details]
    if not items:
        return None
    more = items[_SHOWN:]
    field = element("input", type="search", class_="filter", autocomplete="off")
    return element(
        "div",
        element(
            "p",
            element("label", "Filter by words, id or category ", field),
            element("output", aria_live="polite"),
            class_="search",
            hidden=True,
        )
        if more
        else None,
        element("ol", *items[:_SHOWN], class_="papers"),
        details(f"{len(more):,} more", element("ol", *more, class_="papers", start=_SHOWN + 1)) if more else None,
        class_="list",
    )


def _paper(results: Results, row: int, models: Sequence[Evaluation]) -> Markup:
    paper = results.details[row]
    explanation = results.explanations.get((models[0].scores.name, row)) if len(models) == 1 else None
    chips = (
        element("span", name, class_="chip own" if name == results.category else "chip") for name in paper.categories
    )
    return element(
        "li",
        element("div", *(_score(results, item, row) for item in models), class_="scores"),
        element(
            "div",
            element("p", _title(paper, explanation), class_="title"),
            element("p", element("span", paper.id, class_="id"), *chips, _verdict(results, row, models), class_="meta"),
            None if explanation is None else strongest_words(explanation),
            details("Abstract", element("p", element("bdi", marked(paper.shown_abstract, explanation))))
            if paper.abstract
            else None,
            None if explanation is None else details("Words", effects(explanation)),
        ),
    )


def _title(paper: Paper, explanation: Explanation | None) -> Markup:
    shown = marked(paper.shown_title, explanation) if paper.title else "(no title)"
    text = element("bdi", shown)  # a title's direction of writing ends with the title
    return text if paper.url is None else element("a", text, href=paper.url, rel="noopener noreferrer")


def _score(results: Results, item: Evaluation, row: int) -> Markup:
    value = float(item.scores.values[row])
    model = next(at for at, other in enumerate(results.evaluations) if other is item)
    called = "called" if _calls(item, row) else "not called"
    return element("span", f"{value:.4f}", class_=f"score {colour(model)}", title=f"{item.scores.name}: {called}")


def _verdict(results: Results, row: int, models: Sequence[Evaluation]) -> Markup | None:
    """Say which of two models agrees with arXiv."""
    if len(models) == 1:
        return None
    right = next(item for item in models if _calls(item, row) == results.truth.listed[row])
    return join(" ", element("span", f"{right.scores.name} agrees with arXiv"))


def _calls(item: Evaluation, row: int) -> bool:
    return float(item.scores.values[row]) >= item.scores.threshold
