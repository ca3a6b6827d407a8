"""Prepares the results for the page's templates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ro32.data.dates import MONTHS_A_YEAR, month_name
from ro32.evaluation.intervals import Estimate
from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.results import Results
from ro32.evaluation.slices import UNKNOWN_NAME, Dimension, Slice
from ro32.evaluation.table import MEASURED, MEASURES
from ro32.model.metrics import Confusion

_DRAWN = 16  # primary categories that are drawn, those with the most listed papers
_OF_TIME = {Dimension.YEAR: 100, Dimension.MONTH: 36}  # at most, the newest: three years of months fit a phone's screen
_FEW = 10  # listed papers below which a group's points are pale


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of every model: of a measure, or of a group of papers; None if a model has none."""

    name: str
    estimates: Sequence[Estimate | None]
    group: Slice | None = None

    @property
    def time(self) -> int:
        """A year, or months since year 0: where a group of time stands among the others."""
        year, _, month = self.name.partition("-")
        return int(year) * MONTHS_A_YEAR + int(month) - 1 if month else int(year)

    @property
    def pale(self) -> bool:
        """Whether it rests on too few papers."""
        return self.group is not None and self.group.listed < _FEW


def measures(items: Sequence[Evaluation]) -> list[Row]:
    """Return the measures that are drawn."""
    names = (*MEASURED, "average_precision")
    return [Row(name=MEASURES[name], estimates=[item.measures[name] for item in items]) for name in names]


def f1_by(items: Sequence[Evaluation], dimension: Dimension) -> list[Row]:
    """Return F1 of the groups in which a model found, missed or called a paper; none where the dump names no group."""
    known = [{group.group: group for group in item.slices[dimension] if "f1" in group.decisions} for item in items]
    groups: dict[str, Slice] = {}
    for of_model in known:
        groups |= of_model | groups
    names = list(groups)[:_DRAWN] if groups.keys() - {UNKNOWN_NAME} else []
    if dimension in _OF_TIME:
        names = sorted(groups.keys() - {UNKNOWN_NAME})[-_OF_TIME[dimension] :]
    estimates = [{name: group.decisions["f1"] for name, group in of_model.items()} for of_model in known]
    return [Row(name=name, estimates=[found.get(name) for found in estimates], group=groups[name]) for name in names]


def time_ticks(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return at most six times that are written below a chart, the newest among them, and their names."""
    first, last, of_months = rows[0].time, rows[-1].time, "-" in rows[0].name
    step = max((last - first + 5) // 6, 1)
    return [(at, month_name(at) if of_months else str(at)) for at in range(last, first - 1, -step)]


def targets(item: Evaluation) -> list[tuple[str, float | None]]:
    """Return the thresholds that reach a precision or a recall, by its name; None if none does."""
    return [
        *((f"precision {target:.0%}", at) for target, at in item.for_precision.items()),
        *((f"recall {target:.0%}", at) for target, at in item.for_recall.items()),
    ]


def decisions_at(item: Evaluation, threshold: float) -> Confusion:
    """Return the decisions at one of the operating points."""
    tp, fp, fn, tn = item.points.counts[_position(item, threshold)].tolist()
    return Confusion(tp=tp, fp=fp, fn=fn, tn=tn)


def for_script(results: Results) -> dict[str, Any]:
    """Return the data of the page's script, JSON values."""
    return {"category": results.category, "models": [_points(item) for item in results.evaluations]}


def _points(item: Evaluation) -> dict[str, Any]:
    points = item.points
    presets = [("model's own", item.scores.threshold), ("best F1", item.best_threshold), *targets(item)]
    return {
        "thresholds": points.thresholds.tolist(),
        "counts": points.counts.tolist(),
        "low": points.low.round(7).tolist(),
        "high": points.high.round(7).tolist(),
        "presets": [[name, _position(item, at)] for name, at in presets if at is not None],
    }


def _position(item: Evaluation, threshold: float) -> int:
    return int(item.points.thresholds.searchsorted(threshold))
