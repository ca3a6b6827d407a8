"""The JSON that `ro32-eval --json` prints: docs/ro32-eval.schema.json describes it."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ro32.evaluation.comparison import Comparison
from ro32.evaluation.intervals import LEVEL, RESAMPLES, SEED
from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.results import Results
from ro32.evaluation.slices import Slice

FORMAT = "ro32-eval"
VERSION = 2  # raised when a field is gone or means something else; one field more is no new version


def document(results: Results) -> dict[str, Any]:
    """Return the results as JSON values."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "tool_version": results.tool_version,
        "finished": results.finished.isoformat(timespec="seconds"),
        "category": results.category,
        "inputs": list(results.inputs),
        "papers": len(results.truth),
        "listed": int(results.truth.listed.sum()),
        "intervals": {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED},
        "models": [_model(results, item) for item in results.evaluations],
        "comparisons": [_comparison(results, item) for item in results.comparisons],
    }


def _model(results: Results, item: Evaluation) -> dict[str, Any]:
    scores, points, disagreements = item.scores, item.points, item.disagreements
    listed, others = item.histogram
    return {
        "name": scores.name,
        "source": scores.source,
        "digest": scores.digest,
        "papers": item.papers,
        "listed": item.listed,
        "unscored": item.unscored,
        "threshold": scores.threshold,
        "confusion": asdict(item.confusion),
        **{name: asdict(estimate) for name, estimate in item.measures.items()},
        "best_f1": {"value": item.best_f1, "threshold": item.best_threshold},
        "thresholds_for_precision": [{"target": key, "threshold": value} for key, value in item.for_precision.items()],
        "thresholds_for_recall": [{"target": key, "threshold": value} for key, value in item.for_recall.items()],
        "operating_points": {
            "threshold": points.thresholds.tolist(),
            **{name: points.counts[:, at].tolist() for at, name in enumerate(("tp", "fp", "fn", "tn"))},
        },
        "calibration": {
            "mean_score": item.calibration.mean_score,
            "bins": [asdict(part) for part in item.calibration.bins],
        },
        "histogram": {"listed": listed, "others": others},
        "slices": {str(name): [_slice(group) for group in groups] for name, groups in item.slices.items()},
        "disagreements": {
            "candidates": len(disagreements.candidates),
            "confident_candidates": disagreements.confident_candidates,
            "missed": len(disagreements.missed),
            "confident_missed": disagreements.confident_missed,
            "shown_candidates": _papers(results, disagreements.candidates, [item]),
            "shown_missed": _papers(results, disagreements.missed, [item]),
        },
    }


def _slice(group: Slice) -> dict[str, Any]:
    return {
        "group": group.group,
        "papers": group.papers,
        "listed": group.listed,
        "confusion": asdict(group.confusion),
        "average_precision": group.average_precision,
        **{name: asdict(estimate) for name, estimate in group.decisions.items()},
    }


def _comparison(results: Results, item: Comparison) -> dict[str, Any]:
    models = [model for model in results.evaluations if model.scores.name in {item.first, item.second}]
    return {
        "first": item.first,
        "second": item.second,
        "papers": item.papers,
        "flips": item.better + item.worse,
        "better": item.better,
        "worse": item.worse,
        "differences": {name: asdict(estimate) for name, estimate in item.differences.items()},
        "shown_flips": _papers(results, item.flips, models),
    }


def _papers(results: Results, rows: NDArray[np.intp], models: Iterable[Evaluation]) -> list[dict[str, Any]]:
    return [
        {
            "id": paper.id,
            "title": paper.shown_title,
            "categories": list(paper.categories),
            "listed": bool(results.truth.listed[row]),
            "scores": {item.scores.name: float(item.scores.values[row]) for item in models},
            **_explained(results, row, models),
        }
        for row, paper in results.shown(rows)
    ]


def _explained(results: Results, row: int, models: Iterable[Evaluation]) -> dict[str, Any]:
    """Describe the words that moved a paper's scores, on request; missing figures are null."""
    explained = {
        name: {
            "score": _without_nan(found.score),
            "words": [{key: _without_nan(value) for key, value in asdict(effect).items()} for effect in found.words],
        }
        for name in (item.scores.name for item in models)
        if (found := results.explanations.get((name, row)))
    }
    return {"explanations": explained} if explained else {}


def _without_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
