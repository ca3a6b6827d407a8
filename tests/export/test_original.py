"""The original's checkpoint: labels that are numbers, a state dict, its own text form; exported and scored with."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from transformers import AutoTokenizer

from export.__main__ import command
from export.build import Settings, _manifest
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.checkpoint_model import CheckpointModel
from ro32.evaluation.explain import explain
from ro32.evaluation.weights import load_model
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.text_form import TextForm
from tests.command_line import Invoke

NUMBERS = {"0": 0, "1": 1}
NAMED = ["--category", "cs.RO", "--labels", "other,cs.RO"]


def make_original(folder: Path, checkpoint: Path) -> Path:
    """Save the tiny checkpoint as the original's training and deployment do."""
    folder.mkdir()
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    config |= {"id2label": NUMBERS, "label2id": NUMBERS, "label_names": NUMBERS, "transformers_version": "4.27.0.dev0"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = load_file(checkpoint / "model.safetensors")
    torch.save(weights | {"bert.embeddings.position_ids": torch.arange(512)[None]}, folder / "model.pth")
    for name in ("tokenizer.json", "special_tokens_map.json"):
        shutil.copyfile(checkpoint / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def original(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_original(tmp_path_factory.mktemp("original") / "ro-32", checkpoint.folder)


@pytest.fixture
def export(invoke: Invoke, papers_path: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Export a checkpoint to `tmp_path / "bundle"`; return the exit code and all that was printed."""

    def call(folder: Path, *options: str) -> tuple[int, str]:
        budget = ["--verify-papers", "100", "--measure-papers", "200", "--variant", "fp32"]
        outcome = invoke(command, [folder, "-o", tmp_path / "bundle", "--papers", papers_path, *budget, *options])
        return outcome.code, outcome.stdout + outcome.stderr

    return call


def test_it_exports_and_scores_as_pytorch_does(
    original: Path, export: Callable[..., tuple[int, str]], papers: pl.DataFrame, tmp_path: Path
) -> None:
    code, printed = export(original, *NAMED)
    assert code == 0, printed
    (parity,) = (line.split()[-2:] for line in printed.splitlines() if "largest logit difference" in line)
    assert float(parity[0]) <= float(parity[1]) == 1e-4
    bundle = Bundle.load(tmp_path / "bundle")
    assert (bundle.manifest.labels, bundle.manifest.positive_label) == (("other", "cs.RO"), "cs.RO")
    assert (bundle.manifest.form, bundle.manifest.max_length) == (TextForm.ORIGINAL, 512)
    assert (bundle.manifest.source["licence"], bundle.manifest.quality["papers"]) == ("unknown", 200)
    assert 'title + ". " + abstract' in (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")

    rows = papers.select("id", "title", "abstract").head(12).rows()
    rows += [("missing", rows[0][1], None), ("untitled", None, rows[0][2]), ("math", "$x^2$", ""), ("none", None, " ")]
    pl.DataFrame(rows, schema=["id", "title", "abstract"], orient="row").write_parquet(tmp_path / "papers.parquet")
    labels = score(tmp_path)
    assert labels["error"].to_list() == [None] * 14 + ["empty_text"] * 2
    scored = labels.head(14)
    threshold = bundle.manifest.threshold
    assert scored["label"].to_list() == ["cs.RO" if found >= threshold else "other" for found in scored["score"]]
    assert_allclose(scored["score"], pytorch_scores(original, rows[:14]), rtol=0, atol=1e-5)
    model = CheckpointModel(original, "cs.RO")
    assert_allclose(
        model.predict_proba([title or "" for _, title, _ in rows], [abstract or "" for _, _, abstract in rows])[:14],
        scored["score"],
        rtol=0,
        atol=1e-5,
    )
    again = run("-m", "ro32.cli.score", "papers.parquet", "-o", "labels.parquet", "--abstain", "0:1", folder=tmp_path)
    assert "16 reused" in again
    assert pl.read_parquet(tmp_path / "labels.parquet")["error"].to_list() == ["uncertain"] * 14 + ["empty_text"] * 2
    words = explain(Classifier(bundle), "A robot with 3 arms", "")
    assert {"3", "robot"} <= {effect.word for effect in words if effect.log_odds}


def score(folder: Path) -> pl.DataFrame:
    run("-m", "ro32.cli.score", "papers.parquet", "-o", "labels.parquet", folder=folder)
    return pl.read_parquet(folder / "labels.parquet")


def run(*args: str, folder: Path) -> str:
    """Score with the bundle in a process of its own; return what it says."""
    done = subprocess.run(
        [sys.executable, *args, "--bundle", "bundle", "--max-unscored", "0.5"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def pytorch_scores(original: Path, rows: list[tuple[str, str | None, str | None]]) -> list[float]:
    """Score papers with PyTorch and transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(original)
    model = load_model(original)
    found = []
    for _, title, abstract in rows:
        (text,) = TextForm.ORIGINAL.fields([title or ""], [abstract or ""])
        inputs = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
        with torch.inference_mode():
            logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        found.append(float(torch.softmax(logits, dim=1)[0, 1]))
    return found


@pytest.mark.parametrize(("labels", "expected"), [(None, ("other", "cs.RO")), (("cs.RO", "no"), ("cs.RO", "no"))])
def test_labels_are_named_in_the_order_of_the_logits(
    labels: tuple[str, str] | None, expected: tuple[str, str], original: Path, papers_path: Path, tmp_path: Path
) -> None:
    settings = Settings(
        checkpoint=original, output=tmp_path / "bundle", papers=papers_path, category="cs.RO", labels=labels
    )
    manifest = _manifest(settings, Checkpoint.open(original))
    assert (manifest.labels, manifest.positive_label) == (expected, "cs.RO")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--category cs.RO --labels other,cs.RO"),
        (["--labels", "other,cs.CL", "--category", "cs.RO"], "--labels other,cs.RO"),
        (["--labels", "other,cs.RO,cs.CL"], "expected 2 different names"),
        (["--labels", "cs.RO,"], "expected 2 different names"),
        (["--labels", "other,cs.RO,cs.RO"], "expected 2 different names"),
    ],
)
def test_labels_that_do_not_fit_are_wrong_usage(
    original: Path, export: Callable[..., tuple[int, str]], options: list[str], message: str
) -> None:
    code, printed = export(original, *options)
    assert code == 2
    assert message in printed


class Bomb:
    """What a pickle can hold: code that runs when it is read."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.mkdir, (Path("exploded"),)  # type: ignore[return-value]


@pytest.mark.parametrize("content", ["code", "a list", "half", "no tensors", "a weight too few", "a weight too many"])
def test_what_is_no_state_dict_is_refused(
    content: str,
    original: Path,
    export: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "ro-32"
    shutil.copytree(original, folder)
    weights = torch.load(folder / "model.pth", weights_only=True)
    few = {name: tensor for name, tensor in weights.items() if name != "classifier.bias"}
    kinds = {
        "code": {**weights, "bomb": Bomb()},
        "a list": list(weights.values()),
        "no tensors": dict.fromkeys(weights, 1),
        "a weight too few": few,
        "a weight too many": {**weights, "second_head.weight": torch.zeros(1)},
    }
    if content == "half":
        (folder / "model.pth").write_bytes((original / "model.pth").read_bytes()[:1000])
    else:
        torch.save(kinds[content], folder / "model.pth")
    code, printed = export(folder, *NAMED)
    assert code == 78, printed
    assert str(folder) in printed
    assert not (tmp_path / "exploded").exists()
    assert not (tmp_path / "bundle").exists()
