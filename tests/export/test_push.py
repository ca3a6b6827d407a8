"""A repository of the hub: other programs load it as it is, and ro32 installs the bundle in it. No network is asked."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline

from export.build import Form, Report, Variant
from export.push import command
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model.origins import read_files
from tests.command_line import Invoke
from tests.export.conftest import export
from tests.hub_server import COMMIT, environment, hub

TEXTS = ["A robot arm grasps objects", "Galaxies far away"]


@pytest.fixture(scope="module")
def batches(checkpoint: Checkpoint, few_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles of the form for other programs, fp32 and int8."""
    folders = []
    for variant in Variant:
        folders.append(tmp_path_factory.mktemp("batches") / variant)
        few: dict[str, Any] = {"verify_papers": 100, "measure_papers": 400}
        export(checkpoint.folder, folders[-1], few_path, variant=variant, form=Form.BATCHES, **few)
    return folders


@pytest.fixture(scope="module")
def repository(
    checkpoint: Checkpoint, exported: tuple[Path, Report], batches: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder that is to be uploaded."""
    folder = tmp_path_factory.mktemp("hub") / "hub"
    onnx = [word for path in batches for word in ("--onnx", str(path))]
    arguments = [str(checkpoint.folder), "--bundle", str(exported[0]), *onnx, "-o", str(folder)]
    command.main(arguments, standalone_mode=False)
    return folder


def test_transformers_pipeline_loads_it(repository: Path, checkpoint: Checkpoint) -> None:
    found: Any = pipeline("text-classification", str(repository), top_k=None, device="cpu")(TEXTS)
    expected: Any = pipeline("text-classification", str(checkpoint.folder), top_k=None, device="cpu")(TEXTS)
    assert found == expected
    assert {answer["label"] for answer in found[0]} == set(checkpoint.labels)


def test_optimum_loads_it(repository: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(repository)
    reference = pipeline("text-classification", str(repository), top_k=None, function_to_apply="none", device="cpu")
    by_pytorch: Any = reference(TEXTS)
    expected = [{answer["label"]: answer["score"] for answer in answers} for answers in by_pytorch]
    for arguments, atol in (({}, 1e-4), ({"file_name": "model_quantized.onnx"}, 0.3)):
        model = ORTModelForSequenceClassification.from_pretrained(repository, **arguments)
        logits = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.detach().numpy()
        labels = [model.config.id2label[at] for at in range(logits.shape[1])]
        assert_allclose(logits, [[answers[label] for label in labels] for answers in expected], rtol=0, atol=atol)
        answers: Any = pipeline("text-classification", model=model, tokenizer=tokenizer)(TEXTS)
        assert [answer["label"] for answer in answers] == [labels[at] for at in np.argmax(logits, axis=1)]


def test_its_bundle_is_the_one_that_was_given(repository: Path, exported: tuple[Path, Report]) -> None:
    files = read_files(str(repository / "bundle.tar"))
    assert files == {path.name: path.read_bytes() for path in exported[0].iterdir()}
    assert (repository / "README.md").read_bytes() == (exported[0] / "README.md").read_bytes()


def test_what_is_of_another_checkpoint_or_form_is_refused(
    invoke: Invoke, checkpoint: Checkpoint, exported: tuple[Path, Report], tiny_bundle: Path, tmp_path: Path
) -> None:
    done = invoke(command, [checkpoint.folder, "--bundle", exported[0], "--onnx", exported[0], "-o", tmp_path / "hub"])
    assert done.code == 78
    assert "--form batches" in done.stderr
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", str(checkpoint.folder), str(other)], check=True)
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    done = invoke(command, [other, "--bundle", tiny_bundle, "-o", tmp_path / "hub"])
    assert done.code == 78
    assert "from another checkpoint" in done.stderr
    assert not (tmp_path / "hub").exists()


def test_what_is_there_is_left_alone(invoke: Invoke, checkpoint: Checkpoint, tiny_bundle: Path, tmp_path: Path) -> None:
    done = invoke(command, [checkpoint.folder, "--bundle", tiny_bundle, "-o", tmp_path])
    assert done.code == 73


def test_it_goes_up_and_comes_back(
    python: Path, checkpoint: Checkpoint, exported: tuple[Path, Report], batches: list[Path], tmp_path: Path
) -> None:
    """By huggingface_hub's own requests, to a hub on this machine."""
    with hub() as server:
        variables = os.environ | environment(server, tmp_path / "home") | {"XDG_DATA_HOME": str(tmp_path / "data")}

        def run(*words: str | Path, code: int = 0) -> str:
            program = sys.executable if words[0] == "export.push" else python
            done = subprocess.run(
                [program, "-m", *map(str, words)], env=variables, capture_output=True, text=True, check=False
            )
            assert done.returncode == code, done.stderr
            return done.stdout if code == 0 else done.stderr

        pushed = run(
            *("export.push", checkpoint.folder, "--bundle", exported[0], "--onnx", batches[0]),
            *("-o", tmp_path / "hub", "--repository", "someone/ro32"),
        )
        assert pushed == f"hf:someone/ro32@{COMMIT}\n"
        assert {"config.json", "bundle.tar", "README.md"} < set(server.files)
        install = ("ro32.cli.bundles", "install", pushed.strip(), "--name", "fetched")
        assert exported[1].bundle.digest in run(*install, "--digest", exported[1].bundle.digest)
        assert "fetched" in run("ro32.cli.bundles", "list")
        assert "already exists" in run(*install, code=73)
        assert "it is another one" in run(*install, "--digest", "0" * 64, code=78)
        server.files["bundle.tar"] = server.files["bundle.tar"].replace(b"[SEP]", b"[PES]")
        variables["HF_HOME"] = str(tmp_path / "another home")
        assert "was altered" in run(*install, "--overwrite", code=78)
        del server.files["bundle.tar"]
        variables["HF_HOME"] = str(tmp_path / "a third home")
        assert "contains no bundle" in run(*install, "--overwrite", code=78)
        assert "cannot be fetched" in run("ro32.cli.bundles", "install", f"hf:someone/else@{COMMIT}", code=66)
