"""What a published bundle is: the checkpoint's numbers, measured, complete, and proof against alteration."""

import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from export.build import Form, Report, Variant
from export.compare import Sample, classifier_of, onnx_logits, pytorch_logits, tokenize
from export.convert import convert
from export.papers import pick_hard, read_papers
from export.verify import check_logits
from ro32.data.papers import Columns
from ro32.errors import BundleError, OutputError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.one_model import evaluate
from ro32.evaluation.scores import score_with_bundle
from ro32.evaluation.truth import read_truth
from ro32.evaluation.weights import load_model
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import sha256
from ro32.model.classifier import Classifier
from tests.export.conftest import export

INT8_ATOL = 0.25
"""Largest |logit difference| of this model's int8 and PyTorch; its logits spread over about 6."""


@pytest.fixture(scope="module")
def sample(checkpoint: Checkpoint, few_path: Path) -> Sample:
    """200 papers, short and long, tokenized."""
    papers = read_papers(few_path, "cs.RO")
    return tokenize(checkpoint, papers.take(pick_hard(papers, 200, seed=1)))


@pytest.fixture(scope="module")
def reference(checkpoint: Checkpoint, sample: Sample) -> np.ndarray:
    """PyTorch's logits of these papers."""
    return pytorch_logits(load_model(checkpoint.folder), sample.token_ids)


def test_fp32_gives_the_logits_of_pytorch(
    checkpoint: Checkpoint, exported: tuple[Path, Report], sample: Sample, reference: np.ndarray, tmp_path: Path
) -> None:
    manifest = replace(exported[1].bundle.manifest, inputs=())
    fp32 = classifier_of(manifest, convert(checkpoint, tmp_path / "fp32").read_bytes(), checkpoint.tokenizer_json)
    assert check_logits(reference, onnx_logits(fp32, sample.token_ids)) < 1e-5


def test_int8_gives_nearly_the_logits_of_pytorch(
    exported: tuple[Path, Report], sample: Sample, reference: np.ndarray
) -> None:
    logits = onnx_logits(Classifier.load(exported[0]), sample.token_ids)
    assert_allclose(logits, reference, rtol=0, atol=INT8_ATOL)


def test_the_sample_has_truncated_papers(sample: Sample, checkpoint: Checkpoint) -> None:
    lengths = [len(ids) for ids in sample.token_ids]
    assert max(lengths) == checkpoint.max_length
    assert sample.truncated > 0


def test_manifest_tells_what_is_in_the_folder(checkpoint: Checkpoint, exported: tuple[Path, Report]) -> None:
    folder, report = exported
    manifest = report.bundle.manifest
    files = {path.name: sha256(path.read_bytes()) for path in folder.iterdir()}
    assert files.pop("bundle.json") == report.bundle.digest
    assert manifest.files == files
    assert set(files) == {"model.onnx", "tokenizer.json", "README.md", "loss.png"}
    assert manifest.labels == ("other", "cs.RO")
    assert (manifest.positive_label, manifest.max_length, manifest.separator) == ("cs.RO", 512, "[SEP]")
    assert manifest.inputs == ("input_ids",)
    assert manifest.source["checkpoint_sha256"] == checkpoint.digest
    assert manifest.source["licence"] == "apache-2.0"
    assert manifest.tools["onnxruntime"] == version("onnxruntime")


def test_quality_is_what_the_scorer_finds_on_these_papers(exported: tuple[Path, Report], few_path: Path) -> None:
    folder, report = exported
    inputs = [str(few_path)]
    scores = score_with_bundle(inputs, Classifier.load(folder), str(folder), columns=Columns(), threads=2)
    found = evaluate(read_truth(inputs, "cs.RO"), scores)
    manifest = report.bundle.manifest
    assert found.confusion == report.quality.confusion
    assert found.measures["average_precision"].value == report.quality.average_precision
    assert found.best_threshold == manifest.threshold == report.quality.threshold
    assert manifest.quality["f1"] == pytest.approx(found.best_f1, abs=1e-6)
    assert manifest.quality["papers"] == found.papers == 600


def test_scores_are_kept_where_asked_for(exported: tuple[Path, Report], few_path: Path) -> None:
    scores = pl.read_parquet(exported[0].parent / "scores.parquet")
    assert scores.schema == {"id": pl.String, "positive": pl.Boolean, "score": pl.Float32}
    assert scores["id"].equals(pl.read_parquet(few_path)["id"])
    called = scores.filter(pl.col("score") >= exported[1].quality.threshold)
    assert called["positive"].sum() == exported[1].quality.confusion.tp


def test_card_keeps_the_checkpoint_s_and_adds_what_was_measured(exported: tuple[Path, Report]) -> None:
    folder, report = exported
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: apache-2.0\nbase_model: sentence-transformers/all-MiniLM-L6-v2\n")
    assert f"| {report.quality.average_precision:.4f} | {report.quality.confusion.f1:.4f} |" in card
    assert "derived from sentence-transformers/all-MiniLM-L6-v2" in card


def test_a_second_export_gives_the_same_model(
    checkpoint: Checkpoint, exported: tuple[Path, Report], few_path: Path, tmp_path: Path
) -> None:
    again = export(checkpoint.folder, tmp_path / "again", few_path, verify_papers=100).bundle
    first = exported[1].bundle
    assert again.model == first.model
    assert again.manifest.threshold == first.manifest.threshold


def test_fp32_can_be_published_too(checkpoint: Checkpoint, few_path: Path, tmp_path: Path) -> None:
    few: dict[str, Any] = {"verify_papers": 100, "measure_papers": 500, "threads": 2}
    report = export(checkpoint.folder, tmp_path / "bundle", few_path, variant=Variant.FP32, **few)
    assert report.agreement.flips == 0
    assert report.agreement.max_score_difference == 0
    assert report.quality.papers == 500
    assert Bundle.load(tmp_path / "bundle").manifest.name == "cs.RO fp32"


def test_a_graph_of_batches_can_be_published_too(checkpoint: Checkpoint, few_path: Path, tmp_path: Path) -> None:
    few: dict[str, Any] = {"verify_papers": 100, "measure_papers": 500, "threads": 2}
    report = export(checkpoint.folder, tmp_path / "bundle", few_path, form=Form.BATCHES, **few)
    assert report.bundle.manifest.inputs == ("input_ids", "attention_mask", "token_type_ids")


def test_scores_depend_neither_on_neighbours_nor_on_threads(exported: tuple[Path, Report], sample: Sample) -> None:
    classifier = Classifier.load(exported[0])
    alone = np.stack([classifier.logits(ids) for ids in sample.token_ids])
    assert_array_equal(onnx_logits(classifier, sample.token_ids, threads=4), alone)
    assert_array_equal(onnx_logits(classifier, sample.token_ids[::-1], threads=2)[::-1], alone)
    assert_array_equal(onnx_logits(Classifier.load(exported[0]), sample.token_ids[:20]), alone[:20])


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "tokenizer.json", "README.md"])
def test_a_file_altered_by_one_byte_is_refused(exported: tuple[Path, Report], name: str, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(exported[0], folder)
    content = bytearray((folder / name).read_bytes())
    for position in (0, len(content) // 2, len(content) - 1):
        content[position] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(BundleError, match=name):
            Bundle.load(folder)
        content[position] ^= 1


def test_a_bundle_that_is_there_is_replaced_only_on_request(
    checkpoint: Checkpoint, exported: tuple[Path, Report], few_path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "bundle"
    shutil.copytree(exported[0], target)
    few: dict[str, Any] = {"name": "new", "verify_papers": 50, "measure_papers": 500}
    with pytest.raises(OutputError, match="--overwrite"):
        export(checkpoint.folder, target, few_path, **few)
    assert Bundle.load(target).digest == exported[1].bundle.digest
    export(checkpoint.folder, target, few_path, overwrite=True, **few)
    assert Bundle.load(target).manifest.name == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_the_pictures_of_the_card_come_along(exported: tuple[Path, Report]) -> None:
    folder, report = exported
    assert (folder / "loss.png").read_bytes() == b"a picture"
    assert "loss.png" in report.bundle.manifest.files
    assert not (folder / "unseen.png").exists()
