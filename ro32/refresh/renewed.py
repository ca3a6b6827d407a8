"""What a refreshed bundle consists of: the parent's encoder, and new views, cascade, curves, card and lineage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ro32.model.bundle import CARD, CURVES, LINEAR, MANIFEST, MODEL, TOKENIZER, Bundle, sha256
from ro32.model.cascade import Cascade
from ro32.model.metrics import Curve
from ro32.model.views import View, ViewName
from ro32.refresh.certificate import Row
from ro32.refresh.certified import with_cascade
from ro32.refresh.combine import Scores, ViewQuality, curves_csv
from ro32.refresh.contest import MEASURES, Contest

LINEAGE = "refresh"
"""Where the manifest's `source` says what a bundle was refreshed from."""
SECTION = """

## Views

A paper is scored twice: by the encoder, and by a logistic regression over its words and word pairs. The score is a
logistic of both. This bundle was refreshed on {date}: the encoder is that of its parent, {parent}. The linear view was
fitted on {training:,} papers of a dump, and the combination, the threshold and the curves on {papers:,} papers since
{since} that it was not fitted on, {share:.2%} of them {label}. A paper is called {label} when its score is at least
{threshold:.6f}, where F1 is best. `curves.csv` has precision and recall at other thresholds. Figures and threshold of
the sections before are those of older bundles.

Measured on the same papers, cross-fitted: each fifth by weights and threshold fitted on the other four.

| view | average precision | F1 | precision | recall | expected calibration error |
|---|---|---|---|---|---|
{rows}

On the same papers, each bundle as it scores, with the 95 % interval of the difference (paired bootstrap):

| measure | parent | this bundle | difference |
|---|---|---|---|
{differences}
"""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a refreshed bundle comes from.

    Attributes:
        dumps: BLAKE2b digests of the files of papers, in hex.
        day: When it was refreshed, UTC.
        since: First month of the papers that it was calibrated and judged on, as in 2024-11.
        training_papers: Papers that the linear view was fitted on.
        negatives: BLAKE2b digest of the file of papers that counted as negative whatever, if there was one.
    """

    dumps: Sequence[str]
    day: date
    since: str
    training_papers: int
    negatives: str | None = None

    def lineage(self, parent: Bundle) -> dict[str, Any]:
        """Return what the manifest says of it: the parent first, then the parent's own lineage."""
        before = parent.manifest.source.get(LINEAGE, {})
        ancestors = [before["parent"], *before.get("ancestors", [])] if "parent" in before else []
        return {
            "parent": parent.digest,
            "ancestors": ancestors,
            "dumps": list(self.dumps),
            "date": self.day.isoformat(),
            "since": self.since,
            "training_papers": self.training_papers,
            **({} if self.negatives is None else {"negatives": self.negatives}),
        }


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What was fitted and measured for a refreshed bundle.

    Attributes:
        linear: The linear view, serialized.
        scores: Of the papers that it was calibrated on.
        views: By name.
        curves: Of the views by full scoring.
        quality: Of the views, cross-fitted.
        contest: Against the parent.
        cascade: Where one could be certified.
        rows: What its cut changes.
        curve: Of the scores that the cascade gives.
    """

    linear: bytes
    scores: Scores
    views: Mapping[ViewName, View]
    curves: Mapping[ViewName, Curve]
    quality: Mapping[ViewName, ViewQuality]
    contest: Contest
    cascade: Cascade | None
    rows: Sequence[Row]
    curve: Curve | None


def renew(folder: Path, parent: Bundle, fitted: Fitted, origin: Origin) -> dict[str, bytes]:
    """Return all files of the refreshed bundle, its manifest among them.

    Args:
        folder: Of the parent.
        parent: The same, loaded.
        fitted: What is new.
        origin: Where it comes from.
    """
    manifest, contest = parent.manifest, fitted.contest
    card = (folder / CARD).read_bytes().decode() if CARD in manifest.files else f"# {manifest.name}"
    head = card.partition("\n\n## Views\n")[0].partition("\n\n## Cascade\n")[0].rstrip()
    pictures = [name for name in manifest.files if name.endswith(".png") and f"({name})" in head]
    combined, scores = fitted.views[ViewName.COMBINED], fitted.scores
    head += SECTION.format(
        date=origin.day.isoformat(),
        parent=parent.digest[:12],
        training=origin.training_papers,
        papers=int(scores.papers.sum()),
        since=origin.since,
        share=float(np.average(scores.positive, weights=scores.papers)),
        label=manifest.positive_label,
        threshold=combined.threshold,
        rows="\n".join(_row(name, asdict(quality).values()) for name, quality in fitted.quality.items()),
        differences="\n".join(_difference(contest, name) for name in MEASURES),
    )
    files = {
        **{name: (folder / name).read_bytes() for name in pictures},
        MODEL: parent.model,
        TOKENIZER: parent.tokenizer,
        LINEAR: fitted.linear,
        CURVES: curves_csv(fitted.curves),
        CARD: head.encode(),
    }
    new = replace(
        manifest,
        threshold=combined.threshold,
        views={str(name): view for name, view in fitted.views.items()},
        view=str(ViewName.COMBINED),
        cascade=None,
        quality={
            "papers": int(scores.papers.sum()),
            "positives": int(scores.papers[scores.positive].sum()),
            "views": {str(name): _rounded(asdict(found)) for name, found in fitted.quality.items()},
            "parent": _rounded(contest.old),
            "cascade" if fitted.cascade else "full": _rounded(contest.new),
        },
        source={**manifest.source, LINEAGE: origin.lineage(parent)},
        tools={**manifest.tools, "scikit-learn": version("scikit-learn")},
        files={name: sha256(content) for name, content in files.items()},
    )
    if fitted.cascade is not None:
        return with_cascade(new, files, fitted.cascade, rows=fitted.rows, curve=fitted.curve)
    return {**files, MANIFEST: new.to_bytes()}


def _row(name: str, values: Iterable[float]) -> str:
    return f"| {name} | {' | '.join(f'{value:.4f}' for value in values)} |"


def _difference(contest: Contest, name: str) -> str:
    found = contest.difference[name]
    interval = f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
    return f"| {name} | {contest.old[name]:.4f} | {contest.new[name]:.4f} | {interval} |"


def _rounded(measures: Mapping[str, float]) -> dict[str, float]:
    return {name.replace(" ", "_").lower(): round(value, 6) for name, value in measures.items()}
