"""Quality of new labels: the newest papers against the categories in the dump."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from statistics import NormalDist
from typing import Any

import numpy as np

from ro32.evaluation.calibration import measure_calibration
from ro32.evaluation.intervals import LEVEL
from ro32.evaluation.ranking import Ranking
from ro32.evaluation.slices import Slice, slice_by
from ro32.model.bundle_json import Manifest
from ro32.model.operating_point import Decision
from ro32.run.drift import SIGNIFICANCE
from ro32.run.journal import Journal
from ro32.run.newest import NewestPapers

RECENT_DAYS = 90
FEWEST_LISTED = 50  # listed papers below which no warning is due: an interval of fewer is not to be trusted
MEASURES = ("precision", "recall", "f1", "average_precision", "calibration_error")
_COMPARED = {"average_precision": "average precision", "f1": "F1"}
"""Measures that tell whether a bundle has aged, and what they are called."""


def measure_quality(journal: Journal) -> None:
    """Compare the labels of the newest papers with their categories, and warn where the bundle has aged.

    The journal of a run that has published gets the figures, if the input has categories and some paper of the last
    `RECENT_DAYS` days is listed in the positive label's.
    """
    if journal.job is None or journal.newest is None:
        return
    papers, classifier = journal.newest.papers(), journal.job.classifier
    recent = papers.take(papers.day > papers.day.max(initial=0) - RECENT_DAYS)
    if not recent.listed.any():
        return
    threshold = classifier.decision.threshold
    newest = recent.take(recent.day == recent.day.max())
    recorded = recorded_quality(classifier.manifest)
    last = _period(recent, threshold)
    fallen = _fallen(last, recorded, classifier.decision)
    journal.quality = {
        "newest_day": _period(newest, threshold),
        "last_90_days": last,
        "by_month": _by_month(papers, threshold),
        "recorded": recorded,
        "aged": bool(fallen),
    }
    if fallen and recorded:
        name = fallen[0]
        journal.warn(
            "aged",
            f"{_COMPARED[name]} of the last {RECENT_DAYS} days, to {last['until']}, is {last[name]['value']:.3f} "
            f"({last[name]['low']:.3f} to {last[name]['high']:.3f}), significantly below the {recorded[name]:.3f} when "
            "the bundle was made; refresh the bundle: ro32-bundle refresh",
        )


def recorded_quality(manifest: Manifest) -> dict[str, float] | None:
    """Return the recorded quality of a bundle on papers that it was not fitted on; None if there is none."""
    try:
        quality = manifest.quality["views"][manifest.view]
        found = {name: float(quality[name]) for name in _COMPARED}
        return found | {"listed": int(manifest.quality["positives"])}
    except (KeyError, TypeError, ValueError):
        return None


def _fallen(last: Mapping[str, Any], recorded: Mapping[str, float] | None, decision: Decision) -> list[str]:
    """Name the measures that are lower than recorded, by more than chance.

    The recorded figure varies by chance too: as much as this one, but for the number of listed papers.
    """
    if recorded is None or last["listed"] < FEWEST_LISTED or recorded["listed"] < FEWEST_LISTED:
        return []
    normal = NormalDist()
    widening = normal.inv_cdf(1 - SIGNIFICANCE) / normal.inv_cdf((1 + LEVEL) / 2)
    widening *= math.sqrt(1 + last["listed"] / recorded["listed"])
    return [
        name
        for name in _COMPARED
        if name != "f1" or decision.chosen_by == "bundle"  # at another threshold F1 is meant to differ
        if recorded[name] - last[name]["value"] > widening * (last[name]["high"] - last[name]["value"])
    ]


def _period(papers: NewestPapers, threshold: float) -> dict[str, Any]:
    """Measure the papers of some days; a measure that they do not define is null."""
    days, listed, scores = papers.day.astype("datetime64[D]"), papers.listed, papers.score.astype(np.float64)
    everyone = np.zeros(len(papers), dtype=np.int32)
    (found,) = slice_by(["all"], everyone, listed=listed, scores=scores, threshold=threshold)
    calibration = measure_calibration(listed, scores)
    return {
        "since": str(days.min()),
        "until": str(days.max()),
        "papers": found.papers,
        "listed": found.listed,
        "called": found.confusion.tp + found.confusion.fp,
        "right": found.confusion.tp,
        **_decisions(found),
        "average_precision": asdict(Ranking.of(listed, scores).average_precision()) if found.listed else None,
        "calibration_error": asdict(calibration.error),
        "mean_score": calibration.mean_score,
    }


def _by_month(papers: NewestPapers, threshold: float) -> list[dict[str, Any]]:
    months, at = np.unique(papers.day.astype("datetime64[D]").astype("datetime64[M]"), return_inverse=True)
    slices = slice_by(
        months.astype(str).tolist(),
        at.astype(np.int32),
        listed=papers.listed,
        scores=papers.score.astype(np.float64),
        threshold=threshold,
    )
    return [
        {
            "month": item.group,
            "papers": item.papers,
            "listed": item.listed,
            **_decisions(item),
            "average_precision": item.average_precision,
        }
        for item in slices
    ]


def _decisions(item: Slice) -> dict[str, Any]:
    return {
        name: asdict(item.decisions[name]) if name in item.decisions else None for name in ("precision", "recall", "f1")
    }
