"""Adds views to a bundle: fits and measures them, updates manifest, curves and card, and publishes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from huggingface_hub import ModelCard, ModelCardData

from export.card import RELIABILITY, RELIABILITY_BY_SPAN, plot_reliability, report
from export.papers import LabelledPapers
from ro32.errors import BundleError
from ro32.evaluation.truth import Truth
from ro32.markdown import render
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, CURVES, LINEAR, MANIFEST, MODEL, TOKENIZER, Manifest, sha256
from ro32.model.publish import publish
from ro32.model.views import ViewName
from ro32.refresh import combine
from ro32.refresh.combine import Reliability, Verdicts, ViewQuality, ViewScores
from ro32.train.card import eval_results

MAX_LOSS = 0.005
"""Most average precision that the combination may be behind its better view: what cross-fitting two numbers costs on a
few hundred positive papers. A combination that is behind by more has something wrong in it."""
RECENT_YEAR = 2020
"""Where the two spans of years meet that a card compares: the files of papers meet there too."""


def add_views(
    bundle: Bundle,
    card: str,
    linear: bytes,
    scores: ViewScores,
    papers: LabelledPapers,
    *,
    output: Path,
    overwrite: bool,
    pictures: Mapping[str, bytes] | None = None,
    made_by: str | None = None,
    threshold: float | None = None,
) -> tuple[Bundle, Mapping[ViewName, ViewQuality]]:
    """Fit the views on the scores of papers that neither model was trained on, and publish the bundle with them.

    The views of a bundle that has some are fitted again. A section on views is appended to the card, or replaces the
    one there. Without a threshold, that of the best F1 is taken.

    Returns:
        The bundle as published, and what each of its views is worth.

    Raises:
        BundleError: The combination ranks papers worse than one of its views does alone, by more than `MAX_LOSS`.
        OutputError: The folder cannot be written.
    """
    manifest, label = bundle.manifest, bundle.manifest.positive_label
    given = {ViewName.COMBINED: threshold}
    fitted = {name: combine.fit_view(scores, name, given.get(name)) for name in ViewName}
    crossed = {name: combine.cross_fit(scores, name, given.get(name)) for name in ViewName}
    quality = {name: combine.judge_view(scores.positive, found, scores.each) for name, found in crossed.items()}
    together = quality[ViewName.COMBINED].average_precision
    best_alone = max(quality[name].average_precision for name in (ViewName.ENCODER, ViewName.LINEAR))
    if together < best_alone - MAX_LOSS:
        raise BundleError(
            f"the views together reach an average precision of {together:.4f}, one alone {best_alone:.4f}; nothing was "
            "published"
        )
    combined, found = fitted[ViewName.COMBINED][0], crossed[ViewName.COMBINED]
    spans = judge_spans(papers.truth, scores, found)
    text = card.partition("\n\n## Views\n")[0].rstrip() + render(
        "export",
        "views.md",
        papers=int(np.sum(scores.each > 0)),
        weighted=scores.weights is not None,
        share=float(np.average(scores.positive, weights=scores.each)),
        label=label,
        threshold=combined.threshold,
        best=threshold is None,
        rows=[quality[name].table_row(name) for name in ViewName],
        spans={
            name: span.quality.table_row(f"{span.papers:,} {name} | {span.positives:,}") for name, span in spans.items()
        },
        where=report(papers, combine.probabilities(scores, combined), threshold=combined.threshold, label=label),
        made_by=made_by,
    )
    bins = {RELIABILITY: combine.reliability(scores.positive, found.score, scores.each)}
    bins |= {RELIABILITY_BY_SPAN.format(at): span.reliability for at, span in enumerate(spans.values())}
    files = {
        **(pictures or {}),
        **{name: plot_reliability(drawn, label) for name, drawn in bins.items()},
        MODEL: bundle.model,
        TOKENIZER: bundle.tokenizer,
        LINEAR: linear,
        CURVES: combine.curves_csv({name: curve for name, (_, curve) in fitted.items()}),
        CARD: _with_results(text, manifest, quality[ViewName.COMBINED]).encode(),
    }
    files[MANIFEST] = replace(
        manifest,
        threshold=combined.threshold,
        views={str(name): view for name, (view, _) in fitted.items()},
        view=str(ViewName.COMBINED),
        cascade=None,
        quality={
            "papers": int(scores.papers.sum()),
            "positives": int(scores.papers[scores.positive].sum()),
            "views": {str(name): measured.rounded() for name, measured in quality.items()},
            "spans": {
                name: {"papers": span.papers, "positives": span.positives, **span.quality.rounded()}
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


def judge_spans(papers: Truth, scores: ViewScores, found: Verdicts) -> dict[str, Span]:
    """Measure the papers before `RECENT_YEAR` and from it on; nothing if the papers are all of one kind."""
    recent = papers.year >= RECENT_YEAR
    spans = {}
    for name, rows in ((f"to {RECENT_YEAR - 1}", ~recent), (f"from {RECENT_YEAR} on", recent)):
        positive, counts = scores.positive[rows], scores.papers[rows]
        if not positive.any():
            return {}
        of_span = Verdicts(score=found.score[rows], called=found.called[rows])
        spans[name] = Span(
            papers=int(counts.sum()),
            positives=int(counts[positive].sum()),
            quality=combine.judge_view(positive, of_span, counts),
            reliability=combine.reliability(positive, of_span.score, counts),
        )
    return spans


def _with_results(card: str, manifest: Manifest, quality: ViewQuality) -> str:
    """Replace the training's figures in a card's header by those of the bundle."""
    found = ModelCard(card)
    header = cast("ModelCardData", found.data)
    header.model_name = header.model_name or manifest.name
    header.eval_results = eval_results(manifest.positive_label, quality.rounded())
    return str(found)
