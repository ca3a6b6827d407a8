"""Measures quality on papers with known categories, and chooses the threshold."""

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from export.papers import LabelledPapers
from export.verify import Mismatch, MismatchError
from ro32.cli.target import write_target
from ro32.errors import InputDataError, InputMissingError, one_line
from ro32.model.classifier import Classifier
from ro32.model.metrics import Confusion, precision_recall
from ro32.run.walk import Progress
from ro32.storage.files import require_regular

CHUNK_PAPERS = 256
"""Papers between two signs of progress: a few seconds' work."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What a bundle is worth, at the threshold that gives the best F1 on these very papers."""

    papers: int  # those with a score; the measures speak of these
    positives: int  # those of them that are listed in the category
    unscored: int  # papers without a token of text
    threshold: float  # half-way between the last score called positive and the next lower one
    average_precision: float
    confusion: Confusion  # decisions at the threshold

    def as_json(self) -> dict[str, Any]:
        """Return the counts as they are, and the measures to six digits; the threshold stands in the manifest."""
        ratios = {name: round(getattr(self.confusion, name), 6) for name in ("f1", "precision", "recall", "accuracy")}
        return {
            "papers": self.papers,
            "positives": self.positives,
            "unscored": self.unscored,
            **asdict(self.confusion),
            "average_precision": round(self.average_precision, 6),
            **ratios,
        }


def score_all(
    classifier: Classifier, papers: LabelledPapers, *, threads: int, on_progress: Callable[[Progress], None]
) -> NDArray[np.float32]:
    """Score n papers: the positive label's probability, shape (n,), float32; NaN only if a paper has no token.

    Raises:
        MismatchError: Of kind NOT_FINITE.
    """
    scores = np.full(len(papers), np.nan, dtype=np.float32)
    starts = range(0, len(papers), CHUNK_PAPERS)
    for chunk, start in enumerate(starts):
        rows = slice(start, start + CHUNK_PAPERS)
        probabilities = classifier.predict_proba(
            titles=papers.titles[rows], abstracts=papers.abstracts[rows], threads=threads
        )
        scores[rows] = probabilities[:, classifier.manifest.positive_index]
        done = min(start + CHUNK_PAPERS, len(papers))
        on_progress(Progress(papers=len(papers), papers_done=done, parts=len(starts), parts_done=chunk + 1))
    unscored = np.flatnonzero(np.isnan(scores)).tolist()
    broken = [row for row in unscored if classifier.encode(papers.titles[row], papers.abstracts[row])]
    if broken:
        raise MismatchError(Mismatch.NOT_FINITE, f"{len(broken)} papers, for example {papers.ids[broken[0]]}")
    return scores


def measure(positive: NDArray[np.bool_], scores: NDArray[np.float32]) -> Quality:
    """Choose the threshold of the best F1 and measure there; scores, shape (n,), are NaN if there is none.

    Raises:
        InputDataError: No scored paper is positive, or the threshold would not separate anything.
    """
    scored = np.isfinite(scores)
    truth, found = positive[scored], scores[scored].astype(np.float64)
    if not truth.any():
        raise InputDataError("no paper that was scored is listed in the category; measure on more papers")
    curve = precision_recall(truth, found)
    threshold, _ = curve.best_f1()
    if not 0 < threshold < 1:
        raise InputDataError(f"the best threshold {threshold} separates no papers; measure on more papers")
    return Quality(
        papers=len(truth),
        positives=int(truth.sum()),
        unscored=int(np.sum(~scored)),
        threshold=threshold,
        average_precision=curve.average_precision,
        confusion=Confusion.of(truth, found >= threshold),
    )


def write_scores(path: Path, ids: Sequence[str], positive: NDArray[np.bool_], scores: NDArray[np.float32]) -> None:
    """Write the measurements, one row per paper: id, positive, score (Float32, null if there is none)."""
    frame = pl.DataFrame({"id": ids, "positive": positive, "score": scores})
    buffer = io.BytesIO()
    frame.with_columns(pl.col("score").fill_nan(None)).write_parquet(buffer)
    write_target(path, buffer.getvalue())


def read_scores(path: Path, papers: LabelledPapers) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Read the scores of these n papers that `write_scores` wrote, or those of a sample of them.

    Returns:
        Two arrays of shape (n,): the scores, NaN if a paper has none, and for how many papers each speaks, by the
        column papers of a sample, else 1.

    Raises:
        InputMissingError: The file is not there, or is a device, pipe, socket or folder.
        InputDataError: It holds no scores, or those of other papers.
    """
    require_regular(path, InputMissingError, "name a file that --scores-out wrote")
    try:
        frame = pl.read_parquet(path).with_columns(pl.col("id").cast(pl.String), pl.col("score").cast(pl.Float32))
    except FileNotFoundError as error:
        raise InputMissingError(f"{path}: no such file; write it with --scores-out") from error
    except pl.exceptions.PolarsError as error:
        raise InputDataError(f"{path}: expected the columns id and score: {one_line(error)}; score again") from error
    if not frame["score"].is_between(0, 1).all():  # null is of a paper without text
        raise InputDataError(
            f"{path}: expected probabilities, found {frame['score'].max()!r}; score these papers again"
        )
    all_in_order = frame["id"].to_list() == list(papers.ids)  # then each has its row, also where ids are repeated
    if not all_in_order and (frame["id"].n_unique() < len(frame) or not frame["id"].is_in(papers.ids).all()):
        raise InputDataError(
            f"{path}: its ids are not those of the papers, once each; score these papers again, each only once"
        )
    if "papers" not in frame.columns:
        frame = frame.with_columns(papers=pl.lit(1))
    wanted = pl.DataFrame({"id": papers.ids})
    known = frame if all_in_order else wanted.join(frame, on="id", how="left", maintain_order="left")
    counts = known["papers"].fill_null(1).cast(pl.Int64)
    return known["score"].fill_null(float("nan")).to_numpy(), counts.to_numpy()
