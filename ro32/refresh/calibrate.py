"""Fits the combination of a new linear view and the old encoder on held-out papers, and compares both bundles."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ro32.data.dates import MONTHS_A_YEAR, UNKNOWN
from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import sha256
from ro32.model.cascade import Cascade
from ro32.model.classifier import Classifier
from ro32.model.linear_view import LinearModel
from ro32.model.metrics import precision_recall
from ro32.model.text_form import TextForm
from ro32.model.views import View, ViewName
from ro32.refresh.certificate import Measured, make_cascade, table
from ro32.refresh.combine import Scores, cross_fit, fit_view, judge_view, probabilities
from ro32.refresh.contest import Verdicts, compare
from ro32.refresh.gather import HeldOut, count_rows, encoder_log_odds
from ro32.refresh.held_out import choose_scored
from ro32.refresh.renewed import Fitted
from ro32.run.walk import Progress

MAX_SHARE, CONFIDENCE = 0.0002, 0.95
"""Share of the labels that the cascade may change, and with what confidence: as of the bundle that ships."""
CERTIFIED_PAPERS = 16_000
"""Held-out papers that are drawn at random and scored in full: 14,978 are enough to show `MAX_SHARE`."""
HARD_PAPERS = 3_000
"""Further ones that a linear view finds hardest: these decide threshold and precision."""
_ENCODER_ALONE = View(intercept=0.0, encoder=1.0, linear=0.0, threshold=0.5)
"""How a bundle without views scores: by the softmax of two logits. The threshold is not used."""


def calibrate(
    parent: Bundle,
    classifier: Classifier,
    linear: LinearModel,
    held_out: HeldOut,
    *,
    threads: int,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
) -> Fitted:
    """Score held-out papers by both bundles, and fit, certify and compare on them.

    Args:
        parent: The old bundle.
        classifier: The same, scoring in full.
        linear: The new linear view.
        held_out: Papers that it was not fitted on.
        threads: Calling threads of the encoder.
        say: Called with one line at the start of each step.
        on_progress: Called while papers are scored.
    """
    old_linear = None if parent.linear is None else LinearModel.from_bytes(parent.linear)
    new_scores = linear.scores(held_out.titles, held_out.abstracts)
    old_scores = new_scores if old_linear is None else old_linear.scores(held_out.titles, held_out.abstracts)
    hardness = np.maximum(_ranks(new_scores), _ranks(old_scores))
    recent = np.flatnonzero(held_out.recent)
    chosen, counts = choose_scored(
        held_out.positive[recent], hardness[recent], held_out.draw[recent], hard=HARD_PAPERS, random=CERTIFIED_PAPERS
    )
    drawn = recent[np.argsort(held_out.draw[recent], kind="stable")[:CERTIFIED_PAPERS]]
    random = np.concatenate([drawn, np.flatnonzero(~held_out.recent)])
    rows = np.union1d(recent[chosen], random)
    say(f"scoring {len(rows):,} held-out papers by the encoder")
    by_encoder = np.full(len(held_out.ids), np.nan)
    by_encoder[rows] = encoder_log_odds(
        classifier, held_out.take(rows), threads=threads, on_rows=count_rows(len(rows), on_progress)
    )
    has_text = np.isfinite(by_encoder[recent[chosen]])
    judged, counts = recent[chosen][has_text], counts[has_text]
    scores = Scores(
        positive=held_out.positive[judged], encoder=by_encoder[judged], linear=new_scores[judged], counts=counts
    )
    both = {name: fit_view(scores, name) for name in ViewName}
    views = {name: view for name, (view, _) in both.items()}
    crossed = {name: cross_fit(scores, name) for name in ViewName}
    view = views[ViewName.COMBINED]
    random = random[np.isfinite(by_encoder[random])]
    form = parent.manifest.form
    measured = _measure(held_out.take(random), by_encoder[random], new_scores[random], view, form)
    try:
        cascade = _certify(measured)
    except BundleError as error:
        say(f"the bundle will have no cascade: {error}")
        cascade = None
    say("comparing the old bundle with the new one")
    papers = held_out.take(judged)
    found = crossed[ViewName.COMBINED]
    new = _screened(papers, Verdicts(score=found.probability, called=found.called), scores.linear, cascade, form)
    contest = compare(papers.positive, counts, _judge_old(parent, papers, by_encoder[judged], old_scores[judged]), new)
    fitted_scores = probabilities(scores, view).astype(np.float64)
    plain = Verdicts(score=fitted_scores, called=fitted_scores >= view.threshold)
    return Fitted(
        linear=linear.to_bytes(),
        scores=scores,
        view=ViewName.COMBINED,
        views=views,
        curves={name: curve for name, (_, curve) in both.items()},
        quality={name: judge_view(scores.positive, found, counts) for name, found in crossed.items()},
        contest=contest,
        cascade=cascade,
        rows=[] if cascade is None else list(table(measured, cascade.cut)),
        curve=precision_recall(papers.positive, _screened(papers, plain, scores.linear, cascade, form).score, counts),
    )


def _measure(
    papers: HeldOut, by_encoder: NDArray[np.float64], linear: NDArray[np.float64], view: View, form: TextForm
) -> Measured:
    """Put together what a cascade is certified on."""
    sure = form.surely_have_tokens(papers.titles, papers.abstracts)
    years = ["unknown" if month == UNKNOWN else str(month // MONTHS_A_YEAR) for month in papers.month.tolist()]
    return Measured(
        ids=papers.ids,
        linear=np.where(sure, linear, np.inf),
        full=probabilities(Scores(positive=papers.positive, encoder=by_encoder, linear=linear), view),
        threshold=view.threshold,
        counts=np.ones(len(papers.ids), dtype=np.int64),
        listed=papers.positive,
        groups={"year": years, "category": papers.primary},
    )


def _certify(measured: Measured) -> Cascade:
    return make_cascade(
        measured,
        view=str(ViewName.COMBINED),
        max_share=MAX_SHARE,
        confidence=CONFIDENCE,
        papers_sha256=sha256("".join(f"{name}\n" for name in measured.ids).encode()),
    )


def _judge_old(
    parent: Bundle, papers: HeldOut, by_encoder: NDArray[np.float64], linear: NDArray[np.float64]
) -> Verdicts:
    """Score papers as the parent does, its cascade included, but for the papers that this would audit."""
    manifest = parent.manifest
    view = _ENCODER_ALONE if manifest.view is None else manifest.views[manifest.view]
    full = probabilities(Scores(positive=papers.positive, encoder=by_encoder, linear=linear), view).astype(np.float64)
    return _screened(
        papers, Verdicts(score=full, called=full >= manifest.threshold), linear, manifest.cascade, manifest.form
    )


def _screened(
    papers: HeldOut, verdicts: Verdicts, linear: NDArray[np.float64], cascade: Cascade | None, form: TextForm
) -> Verdicts:
    """Return the verdicts of a bundle whose cascade decides below its cut."""
    if cascade is None:
        return verdicts
    below = cascade.below(papers.titles, papers.abstracts, linear, form)
    score = verdicts.score.copy()
    score[below] = [cascade.probability(found) for found in linear[below].tolist()]
    return Verdicts(score=score, called=verdicts.called & ~below)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each paper's place among n, 0 for the lowest score."""
    return np.asarray(np.argsort(np.argsort(scores, kind="stable"), kind="stable"), dtype=np.float64)
