"""Calibrates a new linear view, with the old encoder if there is one, on held-out papers, and compares both bundles."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
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
from ro32.refresh.combine import Verdicts, ViewScores, probabilities
from ro32.refresh.contest import compare_bundles
from ro32.refresh.gather import encoder_log_odds, texts
from ro32.refresh.held_out import choose_scored
from ro32.refresh.renewed import Fitted, fit_views

Announce = Callable[..., Callable[[int], object]]
"""Called at the start of each step with a line, and with how many papers it takes; returns what counts them."""
MAX_SHARE, CONFIDENCE = 0.0002, 0.95
"""Share of the labels that the cascade may change, and with what confidence: as of the bundle that ships."""
CERTIFIED_PAPERS = 16_000
"""Held-out papers that are drawn at random and scored in full: 14,978 are enough to show `MAX_SHARE`."""
HARD_PAPERS = 3_000
"""Further ones that a linear view finds hardest: these decide threshold and precision."""


def calibrate_linear(parent: Bundle | None, linear: LinearModel, held_out: pl.DataFrame) -> Fitted:
    """Score all new held-out papers by a linear view alone, fit on them, and compare with the old bundle, if any."""
    papers = held_out.filter("recent")
    positive, nothing = papers["positive"].to_numpy(), np.zeros(len(papers))
    fitted = fit_views(
        linear, ViewScores(positive=positive, encoder=nothing, linear=linear.scores(*texts(papers))), [ViewName.LINEAR]
    )
    if parent is None or parent.linear is None:
        return fitted
    old = _judge_old(parent, papers, nothing, LinearModel.from_bytes(parent.linear).scores(*texts(papers)))
    return replace(fitted, contest=compare_bundles(positive, fitted.scores.papers, old, fitted.verdicts))


def calibrate(
    parent: Bundle,
    classifier: Classifier,
    linear: LinearModel,
    held_out: pl.DataFrame,
    *,
    threads: int,
    announce: Announce,
) -> Fitted:
    """Score held-out papers by both bundles, and fit, certify and compare on them; the classifier scores in full."""
    new_scores = linear.scores(*texts(held_out))
    old_scores = new_scores
    if parent.linear is not None:
        old_scores = LinearModel.from_bytes(parent.linear).scores(*texts(held_out))
    positive, draw = held_out["positive"].to_numpy(), held_out["draw"].to_numpy()
    hardness = np.maximum(_ranks(new_scores), _ranks(old_scores))
    recent = np.flatnonzero(held_out["recent"].to_numpy())
    chosen, counts = choose_scored(
        positive[recent], hardness[recent], draw[recent], hard=HARD_PAPERS, random=CERTIFIED_PAPERS
    )
    drawn = recent[np.argsort(draw[recent], kind="stable")[:CERTIFIED_PAPERS]]
    random = np.concatenate([drawn, np.flatnonzero(~held_out["recent"].to_numpy())])
    rows = np.union1d(recent[chosen], random)
    on_rows = announce(f"scoring {len(rows):,} held-out papers by the encoder", len(rows))
    by_encoder = np.full(len(held_out), np.nan)
    by_encoder[rows] = encoder_log_odds(classifier, held_out[rows], threads=threads, on_rows=on_rows)
    has_text = np.isfinite(by_encoder[recent[chosen]])
    judged, counts = recent[chosen][has_text], counts[has_text]
    scores = ViewScores(positive=positive[judged], encoder=by_encoder[judged], linear=new_scores[judged], counts=counts)
    fitted = fit_views(linear, scores, list(ViewName))
    view, form = fitted.views[ViewName.COMBINED], parent.manifest.form
    random = random[np.isfinite(by_encoder[random])]
    measured = _measure(held_out[random], by_encoder[random], new_scores[random], view, form)
    cascade = None
    try:
        cascade = make_cascade(
            measured,
            view=str(ViewName.COMBINED),
            max_share=MAX_SHARE,
            confidence=CONFIDENCE,
            papers_sha256=sha256("".join(f"{name}\n" for name in measured.ids).encode()),
        )
    except BundleError as error:
        announce(f"the bundle will have no cascade: {error}")
    announce("comparing the old bundle with the new one")
    papers = held_out[judged]
    old = _judge_old(parent, papers, by_encoder[judged], old_scores[judged])
    new = _screened(papers, fitted.verdicts, scores.linear, cascade, form)
    by_all = probabilities(scores, view).astype(np.float64)
    plain = Verdicts(score=by_all, called=by_all >= view.threshold)
    return replace(
        fitted,
        contest=compare_bundles(scores.positive, counts, old, new),
        cascade=cascade,
        rows=[] if cascade is None else list(table(measured, cascade.cut)),
        curve=precision_recall(scores.positive, _screened(papers, plain, scores.linear, cascade, form).score, counts),
    )


def _measure(
    papers: pl.DataFrame, by_encoder: NDArray[np.float64], linear: NDArray[np.float64], view: View, form: TextForm
) -> Measured:
    """Put together what a cascade is certified on."""
    positive = papers["positive"].to_numpy()
    years = ["unknown" if month == UNKNOWN else str(month // MONTHS_A_YEAR) for month in papers["month"].to_list()]
    return Measured(
        ids=papers["id"].to_list(),
        linear=np.where(form.surely_have_tokens(*texts(papers)), linear, np.inf),
        full=probabilities(ViewScores(positive=positive, encoder=by_encoder, linear=linear), view),
        threshold=view.threshold,
        counts=np.ones(len(papers), dtype=np.int64),
        listed=positive,
        groups={"year": years, "category": papers["primary"].to_list()},
    )


def _judge_old(
    parent: Bundle, papers: pl.DataFrame, by_encoder: NDArray[np.float64], linear: NDArray[np.float64]
) -> Verdicts:
    """Score papers as the parent does, its cascade included, but for the papers that this would audit."""
    manifest = parent.manifest
    scores = ViewScores(positive=papers["positive"].to_numpy(), encoder=by_encoder, linear=linear)
    full = probabilities(scores, manifest.scoring_view).astype(np.float64)
    verdicts = Verdicts(score=full, called=full >= manifest.threshold)
    return _screened(papers, verdicts, linear, manifest.cascade, manifest.form)


def _screened(
    papers: pl.DataFrame, verdicts: Verdicts, linear: NDArray[np.float64], cascade: Cascade | None, form: TextForm
) -> Verdicts:
    """Return the verdicts of a bundle whose cascade decides below its cut."""
    if cascade is None:
        return verdicts
    below = cascade.below(*texts(papers), linear, form)
    score = verdicts.score.copy()
    score[below] = [cascade.probability(found) for found in linear[below].tolist()]
    return Verdicts(score=score, called=verdicts.called & ~below)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each paper's place among n, 0 for the lowest score."""
    return np.asarray(np.argsort(np.argsort(scores, kind="stable"), kind="stable"), dtype=np.float64)
