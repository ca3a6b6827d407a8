"""The bundle: what is read is what was verified."""

import json
import math
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from ro32.errors import BundleError, Interrupted
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import Manifest, sha256
from ro32.model.classifier import Classifier
from ro32.model.publish import publish
from ro32.model.trial import try_out
from tests.command_line import Score
from tests.forged import forged_manifest


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def rewrite(folder: Path, **changes: Any) -> None:
    """Write a manifest that is well-formed and digests the files as they are now."""
    manifest = Manifest.from_bytes((folder / "bundle.json").read_bytes())
    files = {name: sha256((folder / name).read_bytes()) for name in manifest.files if (folder / name).exists()}
    (folder / "bundle.json").write_bytes(replace(manifest, **{"files": files} | changes).to_bytes())


def test_manifest_survives_the_round_trip(tiny_bundle: Path) -> None:
    data = (tiny_bundle / "bundle.json").read_bytes()
    assert Manifest.from_bytes(data).to_bytes() == data


def test_digest_is_the_manifests(tiny_bundle: Path) -> None:
    assert Bundle.load(tiny_bundle).digest == sha256((tiny_bundle / "bundle.json").read_bytes())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"digest": "00"}', b"\xff"])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="not a bundle manifest"):
        Manifest.from_bytes(data)


def test_white_space_in_the_manifest_counts(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match="altered"):
        Manifest.from_bytes((tiny_bundle / "bundle.json").read_bytes() + b"\n")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positive_label": "cs.CL"}, "expected two labels"),
        ({"labels": ("cs.RO",)}, "expected two labels"),
        ({"labels": ("other", "cs.RO", "cs.CV")}, "expected two labels"),
        ({"threshold": 1.0}, "threshold"),
        ({"format_version": 99}, "update ro32"),
    ],
)
def test_settings_that_make_no_sense_are_refused(copy: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(BundleError, match=words):
        rewrite(copy, **changes)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"cannot read model\.onnx"):
        Bundle.load(copy)


def test_a_manifest_without_the_model_is_refused(copy: Path) -> None:
    (copy / "model.onnx").unlink()
    rewrite(copy)
    with pytest.raises(BundleError, match=r"lists no model\.onnx"):
        Bundle.load(copy)


def test_files_outside_the_folder_are_refused(copy: Path) -> None:
    (copy / "bundle.json").write_bytes(forged_manifest(copy, files={"../model.onnx": 64 * "0"}))
    with pytest.raises(BundleError, match="expected plain file names"):
        Bundle.load(copy)


def test_a_model_that_is_no_onnx_graph_is_refused(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"no graph")
    rewrite(copy)
    with pytest.raises(BundleError, match="unusable"):
        Classifier.load(copy)


@pytest.mark.parametrize("shape", [[1, 3], []])
def test_a_model_of_another_number_of_labels_is_refused(shape: list[int], copy: Path) -> None:
    logits = helper.make_tensor("logits", TensorProto.FLOAT, shape, [0.0, 1.0, 2.0][: math.prod(shape)])
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["logits"], value=logits)],
        "three",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, None])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    (copy / "model.onnx").write_bytes(model.SerializeToString())
    rewrite(copy)
    with pytest.raises(BundleError, match=f"expected 2 logits, .* of the shape {re.escape(str(shape))}"):
        Classifier.load(copy)


def test_a_bundle_may_say_what_its_model_takes(copy: Path) -> None:
    before = Classifier.load(copy)
    rewrite(copy, inputs=("input_ids", "attention_mask", "token_type_ids"))
    after = Classifier.load(copy)
    assert after.manifest.inputs == ("input_ids", "attention_mask", "token_type_ids")
    assert after.scoring_digest == before.scoring_digest
    assert after.logits([2, 5, 3]).tolist() == before.logits([2, 5, 3]).tolist()


def test_an_older_manifest_says_nothing_of_inputs(tiny_bundle: Path) -> None:
    data = (tiny_bundle / "bundle.json").read_bytes()
    assert b"inputs" not in data
    assert Manifest.from_bytes(data).inputs == ()


@pytest.mark.parametrize("inputs", [("input_ids",), ("input_ids", "attention_mask", "token_type_ids", "bbox")])
def test_a_model_that_takes_something_else_is_refused(copy: Path, inputs: tuple[str, ...]) -> None:
    rewrite(copy, inputs=inputs)
    with pytest.raises(BundleError, match="found one that takes attention_mask, input_ids, token_type_ids"):
        Classifier.load(copy)


def test_a_token_that_the_model_does_not_know_is_the_bundle_s_fault(copy: Path, score: Score, source: Path) -> None:
    tokenizer = json.loads((copy / "tokenizer.json").read_bytes())
    tokenizer["model"]["vocab"] |= dict.fromkeys(["the", "a", "of", "and"], 1_000_000)
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    rewrite(copy)
    done = score(source, "-o", source.with_name("labels.parquet"), bundle=copy)
    assert done.code == 78, done.stderr
    assert "tokens cannot be scored" in done.stderr


def test_a_tokenizer_that_finds_no_token_is_refused(copy: Path) -> None:
    tokenizer = json.loads((copy / "tokenizer.json").read_bytes())
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"Regex": "."}, "content": ""}
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    rewrite(copy)
    with pytest.raises(BundleError, match="export it again"):
        try_out(Bundle.load(copy))


def test_a_signal_between_two_renames_brings_the_old_bundle_back(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, digest, rename = (
        {path.name: path.read_bytes() for path in copy.iterdir()},
        Bundle.load(copy).digest,
        Path.rename,
    )

    def stopped(path: Path, to: Path) -> Path:
        if path.suffix == ".partial":
            raise Interrupted(signal.SIGTERM)
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(Interrupted):
        publish(copy, files, overwrite=True)
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert Bundle.load(copy).digest == digest
