"""Adds views to a bundle: fits and measures them, updates manifest, curves and card, and publishes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from export.papers import LabelledPapers
from export.plots import RELIABILITY, RELIABILITY_BY_SPAN, plot_reliability
from export.slices import report
from ro32.errors import BundleError
from ro32.evaluation.truth import Truth
from ro32.markdown import render
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, CURVES, LINEAR, MANIFEST, MODEL, TOKENIZER, sha256
from ro32.model.publish import publish
from ro32.model.views import ViewName
from ro32.refresh.combine import (
    Reliability,
    Scores,
    Verdicts,
    ViewQuality,
    cross_fit,
    curves_csv,
    fit_view,
    judge_view,
    probabilities,
    reliability,
)

MAX_LOSS = 0.005
"""Most average precision that the combination may be behind its better view: what cross-fitting two numbers costs on a
few hundred positive papers. A combination that is behind by more has something wrong in it."""
RECENT_YEAR = 2020
"""Where the two spans of years meet that a card compares: the files of papers meet there too."""


def add_views(
    bundle: Bundle,
    card: str,
    linear: bytes,
    scores: Scores,
    *,
    output: Path,
    overwrite: bool,
    papers: LabelledPapers | None = None,
    pictures: Mapping[str, bytes] | None = None,
    made_by: str | None = None,
    threshold: float | None = None,
) -> tuple[Bundle, Mapping[ViewName, ViewQuality]]:
    """Fit the views on papers that neither model was trained on, and publish the bundle with them.

    The views of a bundle that has some are fitted again. A section on views is appended to the card, or replaces the
    one there; with `papers`, those of the scores, it shows where the bundle is right and wrong. Without a threshold,
    that of the best F1 is taken.

    Returns:
        The bundle as published, and what each of its views is worth.

    Raises:
        BundleError: The combination ranks papers worse than one of its views does alone, by more than `MAX_LOSS`.
        OutputError: The folder cannot be written.
    """
    manifest = bundle.manifest
    given = {ViewName.COMBINED: threshold}
    fitted = {name: fit_view(scores, name, given.get(name)) for name in ViewName}
    crossed = {name: cross_fit(scores, name, given.get(name)) for name in ViewName}
    quality = {name: judge_view(scores.positive, found, scores.each) for name, found in crossed.items()}
    best_alone = max(quality[name].average_precision for name in (ViewName.ENCODER, ViewName.LINEAR))
    if quality[ViewName.COMBINED].average_precision < best_alone - MAX_LOSS:
        raise BundleError(
            f"the views together reach an average precision of {quality[ViewName.COMBINED].average_precision:.4f}, "
            f"one alone {best_alone:.4f}; nothing was published"
        )
    views = {str(name): view for name, (view, _) in fitted.items()}
    chosen = threshold is None
    threshold = views[ViewName.COMBINED].threshold
    spans = {} if papers is None else judge_spans(papers.truth, scores, crossed[ViewName.COMBINED])
    where = None
    if papers is not None:
        found = probabilities(scores, fitted[ViewName.COMBINED][0])
        where = report(papers, found, threshold=threshold, label=manifest.positive_label)
    text = card.partition("\n\n## Views\n")[0].rstrip() + render(
        "export",
        "views.md",
        papers=int(np.sum(scores.each > 0)),
        weighted=scores.weights is not None,
        share=float(np.average(scores.positive, weights=scores.each)),
        label=manifest.positive_label,
        threshold=threshold,
        best=chosen,
        rows=[quality_row(name, quality[name]) for name in ViewName],
        spans={name: span_row(name, span) for name, span in spans.items()},
        where=where,
        made_by=made_by,
    )
    together = crossed[ViewName.COMBINED].score
    files = {
        **(pictures or {}),
        RELIABILITY: plot_reliability(reliability(scores.positive, together, scores.each), manifest.positive_label),
        **{
            RELIABILITY_BY_SPAN.format(at): plot_reliability(span.reliability, manifest.positive_label)
            for at, span in enumerate(spans.values())
        },
        MODEL: bundle.model,
        TOKENIZER: bundle.tokenizer,
        LINEAR: linear,
        CURVES: curves_csv({name: curve for name, (_, curve) in fitted.items()}),
        CARD: text.encode(),
    }
    files[MANIFEST] = replace(
        manifest,
        threshold=threshold,
        views=views,
        view=str(ViewName.COMBINED),
        cascade=None,
        quality={
            "papers": int(scores.papers.sum()),
            "positives": int(scores.papers[scores.positive].sum()),
            "views": {str(name): _rounded(found) for name, found in quality.items()},
            "spans": {
                name: {"papers": span.papers, "positives": span.positives, **_rounded(span.quality)}
                for name, span in spans.items()
            },
            "encoder_export": manifest.quality.get("encoder_export", manifest.quality),
        },
        files={name: sha256(content) for name, content in files.items()},
    ).to_bytes()
    return publish(output, files, overwrite=overwrite), quality


@dataclass(frozen=True, kw_only=True)
class Span:
    """What the combined view is worth on the papers of some years, each counting once, cross-fitted."""

    papers: int
    positives: int
    quality: ViewQuality
    reliability: Reliability


def judge_spans(papers: Truth, scores: Scores, found: Verdicts) -> dict[str, Span]:
    """Measure the papers before `RECENT_YEAR` and from it on; nothing if the papers are all of one kind."""
    recent = papers.year >= RECENT_YEAR
    spans = {f"to {RECENT_YEAR - 1}": ~recent, f"from {RECENT_YEAR} on": recent}
    if not all(scores.positive[rows].any() for rows in spans.values()):
        return {}
    return {
        name: Span(
            papers=int(scores.papers[rows].sum()),
            positives=int(scores.papers[rows & scores.positive].sum()),
            quality=judge_view(
                scores.positive[rows], Verdicts(score=found.score[rows], called=found.called[rows]), scores.papers[rows]
            ),
            reliability=reliability(scores.positive[rows], found.score[rows], scores.papers[rows]),
        )
        for name, rows in spans.items()
    }


def span_row(name: str, span: Span) -> str:
    """Return one row of the card's table of spans."""
    cells = (f"{value:.4f}" for value in asdict(span.quality).values())
    return f"| {span.papers:,} {name} | {span.positives:,} | {' | '.join(cells)} |"


def quality_row(name: ViewName, quality: ViewQuality) -> str:
    """Return one row of the card's table of views."""
    cells = (f"{value:.4f}" for value in asdict(quality).values())
    return f"| {name} | {' | '.join(cells)} |"


def _rounded(quality: ViewQuality) -> dict[str, Any]:
    return {measure: round(value, 6) for measure, value in asdict(quality).items()}
