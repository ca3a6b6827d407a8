"""The bundle that ships against the PyTorch checkpoint it was exported from, on the two samples of real papers.

The checkpoint is too large to commit. What it says of the sample was recorded (see tests/data/record_logits.py), so
int8 can be compared with it anywhere: on papers drawn again in each run, in `make test-all` on all. Where the
checkpoint is at hand (RO32_CHECKPOINT), all else is compared too.
"""

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from export.compare import Sample, classifier_of, onnx_logits, pytorch_logits, scores_of, tokenize
from export.convert import convert, quantize
from export.measure import measure
from export.papers import LabelledPapers, read_papers
from export.simplify import simplify
from export.verify import check_agreement, check_labels, check_logits
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.weights import load_model
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import MODEL, sha256
from ro32.model.classifier import Classifier
from tests.conftest import SEED

DATA = Path(__file__).parents[1] / "data"
SAMPLES = ("papers.parquet", "modern_papers.parquet")
CHECKPOINT = os.environ.get("RO32_CHECKPOINT")
OTHER_MACHINE_ATOL = 1e-4
"""Largest |logit difference| of the recorded logits and those of the same weights on another processor."""
INT8_ATOL = 0.6
"""Largest |logit difference| of int8 and PyTorch on one paper; found 0.40, with logits between -2.5 and 2.7. The rest
is for processors without VNNI, whose int8 products saturate."""
INT8_RMS = 0.1
"""Root mean square of that difference over the sample; found 0.063."""

MAX_FLIPS_OF_FEW = 4
"""Labels that int8 may change among 150 papers drawn; it changes 4 of all 3,000, two in a draw once in thirty."""

needs_checkpoint = pytest.mark.skipif(CHECKPOINT is None, reason="RO32_CHECKPOINT names no checkpoint")


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    """The bundle inside the package."""
    return Bundle.shipped()


@pytest.fixture(scope="module")
def papers(shipped: Bundle) -> LabelledPapers:
    """Both samples: papers to 2019, and papers of 2020 and later."""
    of_files = [read_papers(DATA / name, shipped.manifest.positive_label) for name in SAMPLES]
    return LabelledPapers(
        ids=[paper_id for papers in of_files for paper_id in papers.ids],
        titles=[title for papers in of_files for title in papers.titles],
        abstracts=[abstract for papers in of_files for abstract in papers.abstracts],
        truth=replace(of_files[0].truth, listed=np.concatenate([papers.positive for papers in of_files])),
        digest="",
    )


@pytest.fixture(scope="module")
def token_ids(shipped: Bundle, papers: LabelledPapers) -> list[list[int]]:
    """The sample, tokenized by the shipped bundle."""
    classifier = Classifier(shipped)
    return [classifier.encode(*text) for text in zip(papers.titles, papers.abstracts, strict=True)]


@pytest.fixture(scope="module")
def recorded() -> NDArray[np.float32]:
    """PyTorch's logits of the sample; shape (n, k)."""
    return pl.read_parquet(DATA / "recorded_logits.parquet")["logits"].to_numpy()


@pytest.fixture(
    scope="module", params=[pytest.param(60, id="some"), pytest.param(None, id="all", marks=pytest.mark.full)]
)
def rows(request: pytest.FixtureRequest, papers: LabelledPapers) -> NDArray[np.intp]:
    """Which papers of the sample int8 is compared on: half of those drawn are positive ones, as far as there are."""
    number: int | None = request.param
    if number is None:
        return np.arange(len(papers))
    rng = np.random.default_rng([int(SEED), number])
    of_class = [np.flatnonzero(papers.positive == positive) for positive in (True, False)]
    return np.concatenate([rng.choice(rows, number // 2, replace=False) for rows in of_class])


@pytest.fixture(scope="module")
def int8_logits(shipped: Bundle, token_ids: list[list[int]], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """The shipped bundle's logits of these; shape (n, k)."""
    return onnx_logits(Classifier(shipped), [token_ids[row] for row in rows], threads=1)


def test_the_recorded_logits_are_of_this_checkpoint_and_these_papers(
    shipped: Bundle, papers: LabelledPapers, token_ids: list[list[int]]
) -> None:
    table = pq.read_table(DATA / "recorded_logits.parquet")
    assert table.schema.metadata[b"checkpoint_sha256"].decode() == shipped.manifest.source["checkpoint_sha256"]
    assert table["id"].to_pylist() == papers.ids
    assert table["tokens"].to_pylist() == [len(ids) for ids in token_ids]


def test_int8_is_near_the_recorded_logits(
    int8_logits: NDArray[np.float32], recorded: NDArray[np.float32], rows: NDArray[np.intp]
) -> None:
    recorded = recorded[rows]
    difference = check_logits(recorded, int8_logits, atol=INT8_ATOL)
    rms = float(np.sqrt(np.mean((recorded - int8_logits) ** 2)))
    assert rms < INT8_RMS, f"rms {rms:.3f}, largest {difference:.3f}"


def test_int8_labels_and_ranks_the_sample_as_pytorch_does(
    shipped: Bundle,
    papers: LabelledPapers,
    int8_logits: NDArray[np.float32],
    recorded: NDArray[np.float32],
    rows: NDArray[np.intp],
) -> None:
    index = shipped.manifest.positive_index
    reference = scores_of(recorded, index)
    threshold = measure(papers.positive, reference).threshold
    if len(rows) < len(papers):  # of few papers, a bound on the share of changed labels is one on a handful
        changed = (reference[rows] >= threshold) != (scores_of(int8_logits, index) >= threshold)
        assert changed.sum() <= MAX_FLIPS_OF_FEW
        return
    check_agreement(papers.positive, reference, scores_of(int8_logits, index), threshold)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """The full checkpoint."""
    return Checkpoint.open(Path(CHECKPOINT or ""))


@pytest.fixture(scope="module")
def sample(checkpoint: Checkpoint, papers: LabelledPapers) -> Sample:
    """The sample by the checkpoint's tokenizer, which is found to be that of transformers."""
    return tokenize(checkpoint, papers)


@pytest.fixture(scope="module")
def fp32_path(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint, converted and simplified again."""
    path = convert(checkpoint, tmp_path_factory.mktemp("fp32"))
    return simplify(path, path.with_name("simplified.onnx"), max_length=checkpoint.max_length).path


@pytest.mark.full
@needs_checkpoint
def test_fp32_gives_the_logits_of_pytorch(
    shipped: Bundle, checkpoint: Checkpoint, sample: Sample, fp32_path: Path, recorded: NDArray[np.float32]
) -> None:
    model = load_model(checkpoint.folder)
    check_labels([name for _, name in sorted((model.config.id2label or {}).items())], shipped.manifest.labels)
    reference = pytorch_logits(model, sample.token_ids, threads=2)
    fp32 = classifier_of(replace(shipped.manifest, inputs=()), fp32_path.read_bytes(), checkpoint.tokenizer_json)
    check_logits(reference, onnx_logits(fp32, sample.token_ids, threads=2))
    check_logits(recorded, reference, atol=OTHER_MACHINE_ATOL)


@pytest.mark.full
@needs_checkpoint
def test_the_checkpoint_gives_the_very_model_that_ships(
    shipped: Bundle, checkpoint: Checkpoint, fp32_path: Path, tmp_path: Path
) -> None:
    manifest = shipped.manifest
    assert manifest.source["checkpoint_sha256"] == checkpoint.digest
    others = {name: used for name, used in manifest.tools.items() if version(name) != used}
    if others:
        pytest.skip(f"the bundle was made with {others}")
    if not manifest.inputs:
        pytest.skip("the bundle was made before graphs were simplified")
    assert sha256(quantize(fp32_path, tmp_path).read_bytes()) == manifest.files[MODEL]
