"""What a model is worth: its scores against the categories that the dump itself carries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ro32 import parquet
from ro32.classifier import Classifier
from ro32.errors import InputDataError
from ro32.journal import Journal
from ro32.labels import read_provenance
from ro32.metrics import Confusion, precision_recall
from ro32.outcomes import OutcomeIndex
from ro32.papers import Columns
from ro32.plan import find_files, make_plan
from ro32.threads import Known, score_parts


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The papers of a dump and whether they are listed in a category, n rows in input order.

    Attributes:
        ids: n ids.
        listed: Shape (n,): does the category stand anywhere among the paper's categories?
    """

    ids: pa.ChunkedArray
    listed: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How one set of scores compares with the truth.

    Attributes:
        name: What was evaluated.
        papers: Papers with a score; the measures speak of these.
        positives: Papers among them that are listed in the category.
        unscored: Papers without a score, which no measure counts.
        threshold: Where labels were cut.
        confusion: Decisions at the threshold.
        average_precision: Step-function area under the precision-recall curve.
        best_f1: The highest F1 that any threshold gives.
        best_threshold: The threshold that gives it.
    """

    name: str
    papers: int
    positives: int
    unscored: int
    threshold: float
    confusion: Confusion
    average_precision: float
    best_f1: float
    best_threshold: float


def read_truth(
    inputs: Sequence[str], category: str, *, id_column: str = "id", categories_column: str = "categories"
) -> Truth:
    """Read which papers of a dump are listed in a category.

    Args:
        inputs: Parquet files, folders or patterns, as `ro32-score` takes them.
        category: For example "cs.RO"; compared with whole tokens of the space-separated categories.
        id_column: Name of the column of ids.
        categories_column: Name of the column of categories.

    Raises:
        InputMissingError: An input is not there.
        InputDataError: A file is damaged or lacks one of the columns.
    """
    ids: list[pa.Array] = []
    listed: list[NDArray[np.bool_]] = []
    for path in find_files(inputs):
        for _, batch in _read(path, [id_column, categories_column]):
            ids.append(batch.column(id_column))
            categories = pl.Series("categories", batch.column(categories_column)).cast(pl.String).fill_null("")
            listed.append(categories.str.split(" ").list.contains(category).to_numpy())
    return Truth(
        ids=pa.chunked_array(ids) if ids else pa.chunked_array([], pa.string()),
        listed=np.concatenate(listed) if listed else np.zeros(0, dtype=np.bool_),
    )


def evaluate_labels(truth: Truth, labels: Path) -> Evaluation:
    """Compare a labels file with the truth.

    Raises:
        InputMissingError: The file is not there.
        InputDataError: It is no labels file, or not one of these papers in this order.
    """
    batches = [batch for _, batch in _read(labels, ["id", "score"])]
    provenance = read_provenance(labels)
    if provenance is None:
        raise InputDataError(f"{labels}: not a labels file of ro32 (its footer tells no threshold); name its output")
    ids = pa.chunked_array([batch.column("id") for batch in batches]) if batches else pa.chunked_array([], pa.string())
    if not ids.cast(pa.large_string()).equals(truth.ids.cast(pa.large_string())):
        raise InputDataError(f"{labels}: its ids are not those of the papers in their order; score these papers again")
    scores = np.concatenate(
        [np.zeros(0, dtype=np.float32), *(batch.column("score").to_numpy(zero_copy_only=False) for batch in batches)]
    )
    return _evaluate(str(labels), truth, scores, float(provenance["threshold"]))


def evaluate_bundle(
    truth: Truth, inputs: Sequence[str], classifier: Classifier, *, columns: Columns, threads: int
) -> Evaluation:
    """Score the papers with a bundle and compare with the truth.

    Args:
        truth: Of these papers.
        inputs: The papers themselves.
        classifier: The model.
        columns: Names of the input's columns.
        threads: Calling threads.

    Raises:
        InputDataError: The papers are not what the input contract asks for.
    """
    plan = make_plan(find_files(inputs), columns)
    known = Known(previous=OutcomeIndex(), current=OutcomeIndex())
    scores = [np.zeros(0, dtype=np.float32)]
    parts = score_parts(plan, plan.parts, classifier, known, threads=threads, journal=Journal(), on_rows=lambda _: None)
    for _, part in parts:
        scores.append(part.table.column("score").to_numpy())
    return _evaluate(classifier.manifest.name, truth, np.concatenate(scores), classifier.manifest.threshold)


def _evaluate(name: str, truth: Truth, scores: NDArray[np.float32], threshold: float) -> Evaluation:
    scored = np.isfinite(scores)
    listed, scores = truth.listed[scored], scores[scored].astype(np.float64)
    if not listed.any():
        raise InputDataError(f"{name}: no scored paper is listed in the category; name another with --category")
    curve = precision_recall(listed, scores)
    best_threshold, best_f1 = curve.best_f1()
    return Evaluation(
        name=name,
        papers=len(listed),
        positives=int(listed.sum()),
        unscored=int((~scored).sum()),
        threshold=threshold,
        confusion=Confusion.of(listed, scores >= threshold),
        average_precision=curve.average_precision,
        best_f1=best_f1,
        best_threshold=best_threshold,
    )


def _read(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    schema, _ = parquet.read_footer(path)
    missing = [name for name in columns if schema.get_field_index(name) < 0]
    if missing:
        raise InputDataError(
            f"{path}: expected a column {' and a column '.join(map(repr, missing))}, found {', '.join(schema.names)}"
        )
    return parquet.read_batches(path, columns)
