"""Papers to certify a cascade on: read, scored by the linear view and in full, and grouped."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from export.measure import read_scores, score_all
from export.papers import LabelledPapers, read_texts
from ro32.cli.progress import ProgressDisplay
from ro32.data import sources
from ro32.data.dates import UNKNOWN
from ro32.data.labels import SCREENED, read_provenance
from ro32.errors import InputDataError, InputMissingError, one_line
from ro32.evaluation.truth import Truth, read_truth
from ro32.model.classifier import Classifier
from ro32.model.views import log_odds
from ro32.refresh.certificate import Measured
from ro32.refresh.combine import ViewScores, probabilities
from ro32.storage.files import require_regular

_NEAR = 0.05
"""Log-odds from the threshold within which a score that was put together from written ones is computed again: float32
keeps log-odds to 2e-4, and no weight of a view is as large as 100."""


def read_measured(
    classifier: Classifier, path: Path, *, scores: Path | None, labels: Path | None, threads: int
) -> tuple[Measured, str]:
    """Read papers and score them in full; where they have categories, they are grouped, and quality is measured.

    What is known already is taken: the encoder's scores, as `python -m export --scores-out` wrote them (of a sample
    with a column papers that says for how many each stands), or labels that this bundle gave them in full.

    Returns:
        The papers that have a score, and the digest of the file.
    """
    frame = read_texts(path)
    listed = "categories" in sources.survey(path).schema.names
    truth = read_truth([str(path)], classifier.manifest.positive_label) if listed else _unlisted(frame)
    papers = LabelledPapers.of(frame, truth, path)
    linear = classifier.linear_scores(papers.titles, papers.abstracts)
    written, counts = None, np.ones(len(papers), dtype=np.int64)
    if scores is not None:
        written, counts = read_scores(scores, papers)
    if labels is not None:
        full = _read_labels(labels, papers, classifier)
    else:
        full, todo = np.full(len(papers), np.nan, dtype=np.float32), np.arange(len(papers))
        if written is not None:
            full, todo = _put_together(classifier, papers, written, linear)
        with ProgressDisplay() as display:
            full[todo] = score_all(classifier, papers.take(todo), threads=threads, on_progress=display.update)
    sure = classifier.manifest.form.surely_have_tokens(papers.titles, papers.abstracts)
    kept = np.flatnonzero(np.isfinite(full))
    groups: dict[str, Sequence[str]] = {}
    if listed:
        groups["year"] = ["unknown" if year == UNKNOWN else str(year) for year in truth.year[kept].tolist()]
        groups["category"] = [truth.categories[at] for at in truth.primary[kept].tolist()]
    measured = Measured(
        ids=[papers.ids[row] for row in kept.tolist()],
        linear=np.where(sure, linear, np.inf)[kept],
        full=full[kept],
        threshold=classifier.manifest.threshold,
        listed=truth.listed[kept] if listed else None,
        groups=groups,
        counts=counts[kept],
    )
    return measured, papers.digest


def _unlisted(papers: pl.DataFrame) -> Truth:
    """Return the truth of papers of which neither categories nor dates are known."""
    ids = pa.chunked_array([papers["id"].to_arrow()])
    listed, primary = np.zeros(len(papers), dtype=np.bool_), np.zeros(len(papers), dtype=np.int32)
    unknown = np.full(len(papers), UNKNOWN, dtype=np.int32)
    return Truth(ids=ids, listed=listed, month=unknown, primary=primary, categories=("",), characters=unknown)


def _put_together(
    classifier: Classifier, papers: LabelledPapers, written: NDArray[np.float32], linear: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Combine written scores of the encoder with those of the linear view; also return the rows to compute again."""
    manifest = classifier.manifest
    known = np.flatnonzero(np.isfinite(written))
    scores = ViewScores(positive=papers.positive[known], encoder=log_odds(written[known]), linear=linear[known])
    found = np.full(len(papers), np.nan, dtype=np.float32)
    found[known] = probabilities(scores, manifest.scoring_view)
    threshold = float(log_odds(np.array([manifest.threshold], dtype=np.float32))[0])
    return found, known[np.abs(log_odds(found[known]) - threshold) < _NEAR]


def _read_labels(path: Path, papers: LabelledPapers, classifier: Classifier) -> NDArray[np.float32]:
    """Read full scores from labels; refuse those of other papers, of another model, or not all in full."""
    require_regular(path, InputMissingError, "name labels of these papers")
    try:
        digest = (read_provenance(path) or {}).get("scoring_digest")
        frame = pl.read_parquet(path)
    except FileNotFoundError as error:
        raise InputMissingError(f"{path}: no such file; name labels of these papers") from error
    except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise InputDataError(f"{path}: cannot be read: {one_line(error)}; name labels of these papers") from error
    if digest != classifier.scoring_digest or frame["id"].cast(pl.String).to_list() != papers.ids:
        raise InputDataError(f"{path}: not this bundle's labels of these papers; score them with --full")
    if SCREENED in frame.columns and frame[SCREENED].any():
        raise InputDataError(f"{path}: not all of its papers were scored in full; score them with --full")
    return frame["score"].fill_null(float("nan")).to_numpy()
