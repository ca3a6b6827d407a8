"""All measures of one model."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ro32.errors import InputDataError
from ro32.evaluation.calibration import Calibration, measure_calibration
from ro32.evaluation.intervals import Estimate
from ro32.evaluation.ranking import TARGETS, OperatingPoints, Ranking, operating_points
from ro32.evaluation.scores import Scores
from ro32.evaluation.slices import Dimension, Slice, group_papers, slice_by
from ro32.evaluation.truth import Truth
from ro32.model.metrics import Confusion, precision_recall

CONFIDENT = 0.9  # scores from which, or up to one minus which, a disagreement counts as confident


@dataclass(frozen=True, kw_only=True)
class Disagreements:
    """Papers whose label is not what arXiv lists, by row."""

    candidates: NDArray[np.intp]  # called positive and not listed, the highest score first: perhaps they ought to be
    missed: NDArray[np.intp]  # listed and not called so, the lowest score first
    confident_candidates: int  # those with a score of at least `CONFIDENT`
    confident_missed: int  # those with a score of at most 1 - `CONFIDENT`


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How one model's scores compare with the truth."""

    scores: Scores
    papers: int  # those with a score, of which the measures speak
    listed: int
    unscored: int
    confusion: Confusion  # decisions at the model's threshold
    measures: dict[str, Estimate]  # `DECISIONS` at the threshold, average precision and expected calibration error
    best_f1: float  # the highest that any threshold gives
    best_threshold: float
    points: OperatingPoints
    for_precision: dict[float, float | None]  # by target, the threshold that finds the most papers at that precision
    for_recall: dict[float, float]  # by target, the highest threshold that finds that share of the listed papers
    calibration: Calibration
    histogram: tuple[list[int], list[int]]  # listed and other papers by score
    slices: dict[Dimension, list[Slice]]
    disagreements: Disagreements


def evaluate(truth: Truth, scores: Scores) -> Evaluation:
    """Compare scores with the truth.

    Raises:
        InputDataError: No scored paper is listed in the category, or a score is no probability.
    """
    scored = ~np.isnan(scores.values)
    listed, values = truth.listed[scored], scores.values[scored].astype(np.float64)
    if not listed.any():
        raise InputDataError(f"{scores.name}: no scored paper is listed in the category; name another with --category")
    if values.min() < 0 or values.max() > 1:
        raise InputDataError(
            f"{scores.source}: expected scores from 0 to 1, found {values.min():.4g} to {values.max():.4g}; "
            "score these papers again"
        )
    ranking = Ranking.of(listed, values)
    curve = precision_recall(listed, values)
    best_threshold, best_f1 = curve.best_f1()
    average_precision = replace(ranking.average_precision(), value=curve.average_precision)
    del curve  # as large as the dump
    calibration = measure_calibration(listed, values)
    for_precision = {target: ranking.threshold_of_precision(target) for target in TARGETS}
    for_recall = {target: ranking.threshold_of_recall(target) for target in TARGETS}
    found = (value for value in (*for_precision.values(), *for_recall.values()) if value is not None)
    return Evaluation(
        scores=scores,
        papers=len(listed),
        listed=int(listed.sum()),
        unscored=int((~scored).sum()),
        confusion=ranking.confusion_at(scores.threshold),
        measures=ranking.measures_at(scores.threshold)
        | {"average_precision": average_precision, "calibration_error": calibration.error},
        best_f1=best_f1,
        best_threshold=best_threshold,
        points=operating_points(ranking, scores.threshold, best_threshold, *found),
        for_precision=for_precision,
        for_recall=for_recall,
        calibration=calibration,
        histogram=ranking.histogram(),
        slices={
            dimension: slice_by(names, groups[scored], listed=listed, scores=values, threshold=scores.threshold)
            for dimension, (names, groups) in group_papers(truth).items()
        },
        disagreements=_disagree(truth, scores),
    )


def _disagree(truth: Truth, scores: Scores) -> Disagreements:
    values = scores.values.astype(np.float64)
    called = values >= scores.threshold  # NaN is not
    candidates = np.flatnonzero(called & ~truth.listed)
    missed = np.flatnonzero(~called & truth.listed & np.isfinite(values))
    return Disagreements(
        candidates=candidates[np.argsort(-values[candidates], kind="stable")],
        missed=missed[np.argsort(values[missed], kind="stable")],
        confident_candidates=int(np.sum(values[candidates] >= CONFIDENT)),
        confident_missed=int(np.sum(values[missed] <= 1 - CONFIDENT)),
    )
