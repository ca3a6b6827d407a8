"""The sections of the page that speak of everything: its head, the figures, how to read them, and its foot."""

from ro32.evaluation.calibration import BINS
from ro32.evaluation.intervals import LEVEL, RESAMPLES
from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.page.frame import colour
from ro32.evaluation.page.group_charts import rows_chart
from ro32.evaluation.page.markup import Markup, element, join
from ro32.evaluation.page.parts import SMALL, estimate, figure, pair, section, swatch, table
from ro32.evaluation.results import Results
from ro32.evaluation.table import MEASURED, MEASURES, threshold_text

_OUTCOMES = {"tp": "found", "fp": "called, not listed", "fn": "missed", "tn": "rightly left"}


def header(results: Results) -> Markup:
    """Say what was measured, and in one sentence per model what came out."""
    listed, papers = int(results.truth.listed.sum()), len(results.truth)
    return element(
        "header",
        element("p", "ro32 evaluation", class_="kicker"),
        element("h1", f"How well is {results.category} told apart?"),
        element(
            "p",
            f"{papers:,} papers of {', '.join(results.inputs)}, "
            f"{listed:,} of them ({listed / papers:.2%}) listed in {results.category} by arXiv.",
            class_="lead",
        ),
        *(_verdict(results.category, model, item) for model, item in enumerate(results.evaluations)),
    )


def _verdict(category: str, model: int, item: Evaluation) -> Markup:
    counts = item.confusion
    called = counts.tp + counts.fp
    return element(
        "p",
        swatch(model, item),
        f" finds {counts.tp:,} of {item.listed:,} listed papers ({counts.recall:.1%}); "
        f"of the {called:,} that it calls {category}, arXiv lists {counts.precision:.1%}.",
        element("span", f" Papers without a score: {item.unscored:,}.", class_="quiet") if item.unscored else None,
        class_="verdict",
    )


def model_switch(results: Results) -> Markup | None:
    """Let the reader choose of which model the page speaks; one model needs no choice."""
    if len(results.evaluations) < 2:  # noqa: PLR2004 - nothing to choose
        return None
    choices = (
        element(
            "label",
            element("input", type="radio", name="model", value=model, checked=model == 0),
            " ",
            swatch(model, item, "span"),
        )
        for model, item in enumerate(results.evaluations)
    )
    return element("fieldset", element("legend", "Model"), *choices, class_="models", hidden=True)


def figures(results: Results) -> Markup:
    """Show the measures, their intervals, and the four outcomes."""
    items = results.evaluations
    rows = [
        *(
            (title, *(estimate(item.measures[name], 4 if name in SMALL else 3) for item in items))
            for name, title in MEASURES.items()
        ),
        ("threshold", *(threshold_text(item.scores.threshold) for item in items)),
        ("best F1", *(f"{item.best_f1:.3f} at {threshold_text(item.best_threshold)}" for item in items)),
    ]
    names = (swatch(model, item, "span") for model, item in enumerate(items))
    drawn = [(MEASURES[name], "", [item.measures[name] for item in items]) for name in (*MEASURED, "average_precision")]
    return section(
        "figures",
        "Figures",
        pair(
            table(f"Each figure with its {LEVEL:.0%} interval", ("", *names), rows),
            element(
                "div",
                figure(rows_chart("measures", "share", drawn, zoomed=True)),
                *(_outcomes(model, item) for model, item in enumerate(items)),
            ),
        ),
    )


def _outcomes(model: int, item: Evaluation) -> Markup:
    cells = (
        element("div", element("dt", title), element("dd", f"{getattr(item.confusion, name):,}"), class_=name)
        for name, title in _OUTCOMES.items()
    )
    return element("div", swatch(model, item, "h3"), element("dl", *cells, class_="outcomes"))


def notes(results: Results) -> Markup:
    """Say how the figures are made."""
    meanings = {
        "truth": f"A paper counts as {results.category} when that token stands anywhere among its categories. Authors "
        "forget to cross-list, so some answers that count as wrong are right.",
        "precision": "Of the papers that are called, the share that is listed.",
        "recall": "Of the listed papers, the share that is called.",
        "F1": "Harmonic mean of precision and recall.",
        "average precision": "Precision averaged over all thresholds, each weighted by the recall that it adds. It "
        "judges the order of the scores, not the threshold.",
        "calibration error": f"Papers are sorted into {BINS} bins by score. The error is the difference of mean score "
        "and share listed, averaged over all papers.",
        "intervals": f"{RESAMPLES:,} bootstrap resamples. Of intervals made so, from as many papers of the same kind, "
        f"about {LEVEL:.0%} hold the true figure. They say nothing of papers of another kind, nor of wrong lists.",
    }
    if results.explanations:
        meanings["words"] = (
            "A marked word moved the score: the paper was scored again without it, wherever it stands, by the whole "
            "model, and the figure is by how much it raised the log-odds. Words that say the same show little each."
        )
    return section(
        "notes",
        "How to read this",
        element(
            "dl",
            *(join(element("dt", term), element("dd", meaning)) for term, meaning in meanings.items()),
            class_="notes",
        ),
    )


def footer(results: Results) -> Markup:
    """Say what made the page, when, and which models were measured."""
    models = (
        element("li", f"{item.scores.name}: {item.scores.source}{_digest(item)}", class_=colour(model))
        for model, item in enumerate(results.evaluations)
    )
    return element(
        "footer",
        element(
            "p",
            f"Made by ro32 {results.tool_version}, {results.finished:%Y-%m-%d %H:%M} UTC. "
            "Titles and abstracts are arXiv's metadata (CC0).",
        ),
        element("ul", *models),
    )


def _digest(item: Evaluation) -> str:
    return f", {item.scores.digest[:16]}" if item.scores.digest else ""
