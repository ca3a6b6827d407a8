"""Dump and bundle -> refreshed bundle: count, divide, fit, score, calibrate, certify, compare, publish."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ro32.errors import BundleError, UsageError
from ro32.model.bundle import Bundle, sha256
from ro32.model.cascade import Cascade, surely_has_token
from ro32.model.classifier import Classifier
from ro32.model.linear_view import LinearModel
from ro32.model.metrics import precision_recall
from ro32.model.publish import check_target, publish
from ro32.model.views import View, ViewName
from ro32.refresh.census import MONTHS_A_YEAR, UNDATED, check_positives, month_name, parse_month, take_census
from ro32.refresh.certificate import Measured, make_cascade, table
from ro32.refresh.combine import Scores, cross_fit, fit_view, judge_view, probabilities
from ro32.refresh.contest import Contest, Verdicts, compare
from ro32.refresh.gather import HeldOut, encoder_log_odds, gather
from ro32.refresh.held_out import choose_scored, divide
from ro32.refresh.renewed import Fitted, Origin, renew
from ro32.run.walk import Progress
from ro32.train.dump import Dump
from ro32.train.fit_linear import LinearRecipe, drop_rare, fit

MAX_SHARE, CONFIDENCE = 0.0002, 0.95
"""Share of the labels that the cascade may change, and with what confidence: as of the bundle that ships."""
CERTIFIED_PAPERS = 16_000
"""Held-out papers that are drawn at random and scored in full: 14,978 are enough to show `MAX_SHARE`."""
HARD_PAPERS = 3_000
"""Further ones that a linear view finds hardest: these decide threshold and precision."""
HELD_OUT_PAPERS = 100_000
"""Held-out papers in memory at most: 200 MB of text."""
_ENCODER_ALONE = View(intercept=0.0, encoder=1.0, linear=0.0, threshold=0.5)
"""How a bundle without views scores: by the softmax of two logits. The threshold is not used."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to refresh, and how.

    Attributes:
        papers: Files of papers with their categories.
        output: The bundle folder to appear.
        category: What makes a paper positive; the bundle's positive label by default.
        since: Papers from this month on are the newest; two years up to the newest paper by default.
        hold_out: Share of the papers that the linear view is not fitted on, 0 to 1.
        training_papers: Papers that it is fitted on at most; each takes some 8 kB of memory.
        threads: Calling threads of the encoder.
    """

    papers: tuple[Path, ...]
    output: Path
    category: str | None = None
    since: str | None = None
    hold_out: float = 0.2
    training_papers: int = 200_000
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What came of it.

    Attributes:
        contest: Old against new.
        bundle: As published; None where the new one is not better.
    """

    contest: Contest
    bundle: Bundle | None


def refresh(
    folder: Path, settings: Settings, *, say: Callable[[str], None], on_progress: Callable[[Progress], None]
) -> Refreshed:
    """Refresh a bundle, and publish the new one only if it is better on held-out newest papers by more than chance.

    Args:
        folder: The bundle, which is not touched.
        settings: What to do.
        say: Called with one line at the start of each step.
        on_progress: Called while papers are read or scored.

    Raises:
        UsageError: The category is not the bundle's, or the date is none.
        InputMissingError: A dump is not there.
        InputDataError: A dump is damaged, or has too few papers of either kind.
        BundleError: The bundle is unusable.
        OutputError: The folder cannot be written.
    """
    check_target(settings.output, overwrite=False)
    parent = Bundle.load(folder)
    category = settings.category or parent.manifest.positive_label
    if category != parent.manifest.positive_label:
        raise UsageError(
            f"--category {category}: the bundle labels {parent.manifest.positive_label}; name a bundle for {category}"
        )
    earliest = None if settings.since is None else parse_month(settings.since)
    classifier = Classifier(parent, full=True)
    dumps = [Dump.open(path) for path in settings.papers]
    rows = sum(dump.rows for dump in dumps)
    say(f"counting {rows:,} papers")
    census = take_census(dumps, category, on_rows=_steps(rows, on_progress))
    since = census.newest - 2 * MONTHS_A_YEAR + 1 if earliest is None else earliest
    division = divide(
        census,
        since=since,
        share=settings.hold_out,
        most_training=settings.training_papers,
        most_held_out=HELD_OUT_PAPERS,
        enough=CERTIFIED_PAPERS,
    )
    check_positives(census.positive[division.training], "the papers to train on", category)
    check_positives(census.positive[division.recent], f"the held-out papers since {month_name(since)}", category)
    origin = Origin(
        dumps=[dump.digest for dump in dumps],
        day=datetime.now(UTC).date(),
        since=month_name(since),
        training_papers=int(division.training.sum()),
    )
    say(f"fitting the linear view on {origin.training_papers:,} papers")
    features, held_out = gather(dumps, census, division, category, on_rows=_steps(rows, on_progress))
    recipe = LinearRecipe(category=category)
    features = drop_rare(features, recipe.min_papers)
    linear = fit(features, recipe, division.weight[division.training])
    del features
    fitted = _fit_views(parent, classifier, linear, held_out, settings, say=say, on_progress=on_progress)
    if not fitted.contest.better:
        return Refreshed(contest=fitted.contest, bundle=None)
    return Refreshed(
        contest=fitted.contest, bundle=publish(settings.output, renew(folder, parent, fitted, origin), overwrite=False)
    )


def _fit_views(
    parent: Bundle,
    classifier: Classifier,
    linear: LinearModel,
    held_out: HeldOut,
    settings: Settings,
    *,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
) -> Fitted:
    """Score held-out papers by both bundles, and fit, certify and compare on them."""
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
        classifier, held_out.take(rows), threads=settings.threads, on_rows=_steps(len(rows), on_progress)
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
    measured = _measure(held_out.take(random), by_encoder[random], new_scores[random], view)
    try:
        cascade = _certify(measured)
    except BundleError as error:
        say(f"the bundle will have no cascade: {error}")
        cascade = None
    say("comparing the old bundle with the new one")
    papers = held_out.take(judged)
    found = crossed[ViewName.COMBINED]
    new = _screened(papers, Verdicts(score=found.probability, called=found.called), scores.linear, cascade)
    contest = compare(papers.positive, counts, _judge_old(parent, papers, by_encoder[judged], old_scores[judged]), new)
    fitted_scores = probabilities(scores, view).astype(np.float64)
    plain = Verdicts(score=fitted_scores, called=fitted_scores >= view.threshold)
    return Fitted(
        linear=linear.to_bytes(),
        scores=scores,
        views=views,
        curves={name: curve for name, (_, curve) in both.items()},
        quality={name: judge_view(scores.positive, found, counts) for name, found in crossed.items()},
        contest=contest,
        cascade=cascade,
        rows=[] if cascade is None else list(table(measured, cascade.cut)),
        curve=precision_recall(papers.positive, _screened(papers, plain, scores.linear, cascade).score, counts),
    )


def _measure(papers: HeldOut, by_encoder: NDArray[np.float64], linear: NDArray[np.float64], view: View) -> Measured:
    """Put together what a cascade is certified on."""
    sure = np.array([surely_has_token(*text) for text in zip(papers.titles, papers.abstracts, strict=True)])
    years = ["unknown" if month == UNDATED else str(month // MONTHS_A_YEAR) for month in papers.month.tolist()]
    return Measured(
        ids=papers.ids,
        linear=np.where(sure, linear, np.inf),
        full=probabilities(Scores(positive=papers.positive, encoder=by_encoder, linear=linear), view),
        threshold=view.threshold,
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
    return _screened(papers, Verdicts(score=full, called=full >= manifest.threshold), linear, manifest.cascade)


def _screened(papers: HeldOut, verdicts: Verdicts, linear: NDArray[np.float64], cascade: Cascade | None) -> Verdicts:
    """Return what a bundle says when a cascade decides what is below its cut."""
    if cascade is None:
        return verdicts
    below = cascade.below(papers.titles, papers.abstracts, linear)
    score = verdicts.score.copy()
    score[below] = [cascade.probability(found) for found in linear[below].tolist()]
    return Verdicts(score=score, called=verdicts.called & ~below)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each paper's place among n, 0 for the lowest score."""
    return np.asarray(np.argsort(np.argsort(scores, kind="stable"), kind="stable"), dtype=np.float64)


def _steps(total: int, on_progress: Callable[[Progress], None]) -> Callable[[int], None]:
    """Return what counts rows that are done, and reports them."""
    done = 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        on_progress(Progress(papers=total, papers_done=done, parts=1, parts_done=int(done >= total)))

    return count
