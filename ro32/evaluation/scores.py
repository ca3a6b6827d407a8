"""Scores to evaluate: from a labels file, or from a bundle that scores the papers now."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ro32.data import parquet, sources
from ro32.data.labels import read_provenance
from ro32.data.papers import Columns, check_id_sizes
from ro32.errors import InputDataError, InputMissingError
from ro32.evaluation.truth import Truth, check_columns
from ro32.model.classifier import Classifier
from ro32.model.outcomes import OutcomeIndex
from ro32.run.engine import score_parts
from ro32.run.inputs import find_files
from ro32.run.journal import Journal
from ro32.run.plan import make_plan
from ro32.run.walk import Progress, ProgressCount
from ro32.storage.files import require_regular, unchanged


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a model says of n papers."""

    name: str  # in reports
    source: str  # a path, or "ro32" for the bundle that comes with the package
    digest: str | None  # SHA-256 in hex of the bundle or checkpoint; None if a labels file does not tell
    threshold: float  # a paper is called positive when its score is at least this
    values: NDArray[np.float32]  # shape (n,), in the order of the papers; NaN if a paper has no score
    full: bool = False  # whether every paper was scored by all views of the bundle, without its cascade

    def called(self, row: int) -> bool:
        """Return whether a paper is called positive."""
        return float(self.values[row]) >= self.threshold


def check_labels(labels: Path) -> str | None:
    """See by its footer whether this is a labels file; return the positive label, None if the footer has none.

    Raises:
        InputMissingError: The file is not there, or is a device, pipe, socket or folder.
        InputDataError: It is no labels file.
    """
    require_regular(labels, InputMissingError, "name labels that ro32-score wrote")
    return _origin(labels)[3]


def read_scores(labels: Path, truth: Truth) -> Scores:
    """Read the scores of a labels file.

    Raises:
        InputMissingError: The file is not there.
        InputDataError: It is no labels file, or not one of these papers in this order.
        TryAgainError: It was replaced meanwhile.
    """
    ids: list[pa.Array] = []
    values = [np.zeros(0, dtype=np.float32)]
    with unchanged([labels]):
        digest, threshold, full, _ = _origin(labels)
        for start, batch in parquet.read_batches(labels, ["id", "score"]):
            check_id_sizes(labels, start, batch.column("id"))
            ids.append(batch.column("id").cast(pa.string()))
            values.append(batch.column("score").to_numpy(zero_copy_only=False).astype(np.float32))
    _check_ids(labels, truth.ids, pa.chunked_array(ids, type=pa.string()))
    return Scores(
        name=labels.stem,
        source=str(labels),
        digest=digest,
        threshold=threshold,
        values=np.concatenate(values),
        full=full,
    )


def score_with_bundle(
    inputs: Sequence[str],
    classifier: Classifier,
    source: str,
    *,
    columns: Columns,
    threads: int,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Scores:
    """Score the papers with a bundle, as `ro32-score` does; progress is reported in this thread whenever rows are done.

    Raises:
        InputDataError: The papers are not what the input contract asks for.
    """
    plan = make_plan(find_files(inputs), columns)
    values = [np.zeros(0, dtype=np.float32)]
    progress, indexes = ProgressCount(plan, on_progress), (OutcomeIndex(), OutcomeIndex())
    parts = score_parts(
        plan, plan.parts, classifier, *indexes, threads=threads, journal=Journal(), on_rows=progress.advance
    )
    for _, part in parts:
        values.append(part.table.column("score").to_numpy())
        progress.finish_part()
    plan.check_unchanged()
    return Scores(
        name=classifier.manifest.name,
        source=source,
        digest=classifier.digest,
        threshold=classifier.decision.threshold,
        values=np.concatenate(values),
        full=classifier.full,
    )


def with_distinct_names(scores: Sequence[Scores]) -> list[Scores]:
    """Give scores of the same name their sources for names, and a number where that does not help."""
    names = [item.name for item in scores]
    longer = [item.source if names.count(item.name) > 1 else item.name for item in scores]
    return [
        replace(item, name=name if longer.count(name) == 1 else f"{name} #{longer[: at + 1].count(name)}")
        for at, (item, name) in enumerate(zip(scores, longer, strict=True))
    ]


def _origin(labels: Path) -> tuple[str | None, float, bool, str | None]:
    """Return the provenance of a labels file: bundle digest, threshold, full scoring, positive label."""
    form = sources.format_of(labels)
    if form is not None and form is not sources.Format.PARQUET:
        raise InputDataError(
            f"{labels}: expected labels in Parquet, found {form}, which names neither threshold nor model; score again "
            "with -o labels.parquet, and name that"
        )
    schema, _ = parquet.read_footer(labels)
    check_columns(labels, schema, ("id", "score"))
    found = schema.field("score").type
    if not pa.types.is_floating(found):
        raise InputDataError(f"{labels}: expected numbers in column 'score', found {found}; score these papers again")
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        provenance = read_provenance(labels) or {}
        digest, label = provenance.get("bundle_digest"), provenance.get("positive_label")
        threshold = float(provenance["threshold"])
        if 0 <= threshold <= 1 and isinstance(digest, str | None) and isinstance(label, str | None):
            return digest, threshold, bool(provenance.get("full")), label
    raise InputDataError(
        f"{labels}: not a labels file of ro32 (its footer has no threshold of a model); name a labels file of "
        "ro32-score"
    )


def _check_ids(labels: Path, expected: pa.ChunkedArray, found: pa.ChunkedArray) -> None:
    if found.equals(expected):
        return
    if len(found) != len(expected):
        where = f"it has {len(found):,} rows, there are {len(expected):,} papers"
    else:
        row = int(pl.Series(found).ne_missing(pl.Series(expected)).arg_true()[0])
        where = f"row {row:,} is {found[row]}, the paper there is {expected[row]}"
    raise InputDataError(
        f"{labels}: its ids are not those of the papers in their order ({where}); score these papers again"
    )
