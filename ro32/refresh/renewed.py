"""The parts of a refreshed bundle: the parent's encoder, if any, and new views, cascade, curves, card, lineage."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, CURVES, LINEAR, MANIFEST, MODEL, TOKENIZER, Manifest, sha256
from ro32.model.cascade import Cascade
from ro32.model.linear_view import LinearModel
from ro32.model.metrics import Curve
from ro32.model.views import View, ViewName
from ro32.refresh.certificate import Row
from ro32.refresh.certified import with_cascade
from ro32.refresh.combine import Verdicts, ViewQuality, ViewScores, cross_fit, curves_csv, fit_view, judge_view
from ro32.refresh.contest import Contest

LINEAGE = "refresh"
"""Where the manifest's `source` says what a bundle was refreshed from."""
SECTION = """

## Views

{how}

The linear view was fitted on {training:,} papers of a dump. Combination, threshold and curves were fitted on {papers:,}
papers since {since} that the view was not fitted on, {share:.2%} of them {label}. A paper is called {label} when its
score is at least {threshold:.6f}, where F1 is best. `curves.csv` has precision and recall at other thresholds.

Measured on the same papers, cross-fitted: each fifth by weights and threshold fitted on the other four.

| view | average precision | F1 | precision | recall | expected calibration error |
|---|---|---|---|---|---|
{rows}
"""
BOTH = """\
A paper is scored twice: by the encoder, and by a logistic regression over its words and word pairs. Another logistic
regression combines both. This bundle was refreshed on {date}; its encoder is that of its parent. Figures and threshold
of the sections above are those of older bundles."""
ALONE = """\
A paper is scored by a logistic regression over its words and word pairs, made on {date}. There is no encoder, so the
score depends on which words a paper has, not on their order."""
AGAINST_PARENT = """
The parent is {parent}. On the same papers, each bundle as it scores, with the 95 % interval of the difference (paired
bootstrap):

| measure | parent | this bundle | difference |
|---|---|---|---|
{differences}
"""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What was fitted and measured for a refreshed bundle.

    Attributes:
        linear: The linear view, serialized.
        scores: Of the papers that it was calibrated on.
        views: By name; the first one scores.
        verdicts: Of this one on these papers, cross-fitted.
        curves: Of the views by full scoring.
        quality: Of the views, cross-fitted.
        contest: Against the parent; none where there is none.
        cascade: Where one could be certified.
        rows: What its cut changes.
        curve: Of the scores that the cascade gives.
    """

    linear: bytes
    scores: ViewScores
    views: Mapping[ViewName, View]
    verdicts: Verdicts
    curves: Mapping[ViewName, Curve]
    quality: Mapping[ViewName, ViewQuality]
    contest: Contest | None = None
    cascade: Cascade | None = None
    rows: Sequence[Row] = ()
    curve: Curve | None = None

    @property
    def worth_publishing(self) -> bool:
        """Whether the bundle is the first, or better than its parent."""
        return self.contest is None or self.contest.better

    def table(self) -> str:
        """Lay out for the terminal what the bundle is worth."""
        if self.contest is not None:
            return self.contest.table()
        head = f"{len(self.scores):,} held-out papers, {int(self.scores.positive.sum()):,} positive"
        (quality, *_others) = self.quality.values()
        figures = {name.replace("_", " ").replace("f1", "F1"): value for name, value in asdict(quality).items()}
        return "\n".join([head, *(f"{name:<44}{value:>8.4f}" for name, value in figures.items())])


def fit_views(linear: LinearModel, scores: ViewScores, names: Sequence[ViewName]) -> Fitted:
    """Fit and judge views on papers that the linear view was not fitted on; the first of them is to score."""
    fitted = {name: fit_view(scores, name) for name in names}
    crossed = {name: cross_fit(scores, name) for name in names}
    return Fitted(
        linear=linear.to_bytes(),
        scores=scores,
        views={name: view for name, (view, _) in fitted.items()},
        verdicts=crossed[names[0]],
        curves={name: curve for name, (_, curve) in fitted.items()},
        quality={name: judge_view(scores.positive, found, scores.papers) for name, found in crossed.items()},
    )


def renew(
    folder: Path | None, parent: Bundle | None, fitted: Fitted, *, category: str, origin: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return all files of the refreshed bundle, its manifest among them.

    Args:
        folder: Of the parent, if there is one.
        parent: The same, loaded.
        fitted: What is new.
        category: What makes a paper positive.
        origin: The lineage for the manifest, but for parent and ancestors: JSON values.
    """
    files = _kept(folder, parent)
    card = files.get(CARD, f"# {category} by words alone".encode()).decode(errors="surrogateescape")
    head = card.partition("\n\n## Views\n")[0].partition("\n\n## Cascade\n")[0].rstrip()
    files = {name: content for name, content in files.items() if not name.endswith(".png") or f"({name})" in head}
    scores, threshold = fitted.scores, next(iter(fitted.views.values())).threshold
    head += SECTION.format(
        how=(BOTH if files.get(MODEL) else ALONE).format(date=origin["date"]),
        training=origin["training_papers"],
        papers=int(scores.papers.sum()),
        since=origin["since"],
        share=float(np.average(scores.positive, weights=scores.papers)),
        label=category,
        threshold=threshold,
        rows="\n".join(quality.table_row(name) for name, quality in fitted.quality.items()),
    )
    quality: dict[str, Any] = {
        "papers": int(scores.papers.sum()),
        "positives": int(scores.papers[scores.positive].sum()),
        "views": {str(name): found.rounded() for name, found in fitted.quality.items()},
    }
    old = _first(category)
    lineage: dict[str, Any] = {"ancestors": [], **origin}
    if parent is not None:
        old = parent.manifest
        lineage = {"parent": parent.digest, "ancestors": _ancestors(old.source), **origin}
    if parent is not None and fitted.contest is not None:
        contest = fitted.contest
        differences = "\n".join(f"| {' | '.join(row)} |" for row in contest.rows())
        head += AGAINST_PARENT.format(parent=parent.digest[:12], differences=differences)
        quality |= {"parent": _rounded(contest.old), "cascade" if fitted.cascade else "full": _rounded(contest.new)}
    files |= {LINEAR: fitted.linear, CURVES: curves_csv(fitted.curves), CARD: head.encode(errors="surrogateescape")}
    new = replace(
        old,
        threshold=threshold,
        views={str(name): view for name, view in fitted.views.items()},
        view=str(next(iter(fitted.views))),
        cascade=None,
        quality=quality,
        source={**old.source, LINEAGE: lineage},
        tools={**old.tools, "scipy": version("scipy")},
        files={name: sha256(content) for name, content in files.items()},
    )
    if fitted.cascade is not None:
        return with_cascade(new, files, fitted.cascade, rows=fitted.rows, curve=fitted.curve)
    return {**files, MANIFEST: new.to_bytes()}


def _kept(folder: Path | None, parent: Bundle | None) -> dict[str, bytes]:
    """Return the files of a parent that a refreshed bundle may take over: encoder, card and pictures."""
    if folder is None or parent is None:
        return {}
    names = [name for name in parent.manifest.files if name == CARD or name.endswith(".png")]
    encoder = {MODEL: parent.model, TOKENIZER: parent.tokenizer} if parent.manifest.has_encoder else {}
    return encoder | {name: (folder / name).read_bytes() for name in names}


def _ancestors(source: Mapping[str, Any]) -> list[str]:
    """Return the digests of the bundles that a refreshed one comes from; none of a bundle of another origin."""
    try:
        return [source[LINEAGE]["parent"], *source[LINEAGE]["ancestors"]]
    except (KeyError, TypeError):  # what another tool notes by that name is no lineage
        return []


def _first(category: str) -> Manifest:
    """Return the initial manifest of a bundle without a parent."""
    nothing = View(intercept=0.0, encoder=0.0, linear=0.0, threshold=0.5)
    return Manifest(
        name=f"{category}-linear",
        labels=("other", category),
        positive_label=category,
        threshold=nothing.threshold,
        max_length=0,
        separator="",
        views={ViewName.LINEAR: nothing},
        view=ViewName.LINEAR,
    )


def _rounded(measures: Mapping[str, float]) -> dict[str, float]:
    return {name.replace(" ", "_").lower(): round(value, 6) for name, value in measures.items()}
