"""Scores of a PyTorch checkpoint, against transformers itself."""

import importlib.util
import json
from pathlib import Path
from shutil import copytree

import numpy as np
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from ro32.cli import evaluate as cli
from ro32.data.papers import Columns
from ro32.errors import BundleError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.checkpoint_model import CheckpointModel, score_with_checkpoint
from ro32.model.text import normalize
from tests.command_line import Invoke

CHECKPOINT = Path(__file__).parents[1] / "data" / "tiny_checkpoint"
ATOL = 1e-5
"""Two orders of the same float32 sums, padded and not, differ by less than a tenth of this."""


@pytest.fixture(scope="module")
def model() -> CheckpointModel:
    return CheckpointModel(CHECKPOINT, "cs.RO")


def test_scores_are_those_of_transformers_one_paper_at_a_time(model: CheckpointModel, papers: pl.DataFrame) -> None:
    sample = papers.head(40).with_columns(normalize(pl.col("title", "abstract")))
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    reference = AutoModelForSequenceClassification.from_pretrained(CHECKPOINT).eval()
    expected = []
    for title, abstract in zip(sample["title"], sample["abstract"], strict=True):
        encoded = tokenizer(f"{title}{tokenizer.sep_token}{abstract}", truncation=True, return_tensors="pt")
        with torch.no_grad():
            logits = reference(**encoded).logits[0]
        expected.append(float(torch.softmax(logits, dim=-1)[reference.config.label2id["cs.RO"]]))
    found = model.predict_proba(sample["title"].to_list(), sample["abstract"].to_list())
    assert found.dtype == np.float32
    assert_allclose(found, expected, rtol=0, atol=ATOL)


def test_papers_keep_their_places_and_those_without_text_have_no_score(
    model: CheckpointModel, papers: pl.DataFrame, tmp_path: Path
) -> None:
    blank = pl.int_range(pl.len()) == 3
    frame = papers.head(30).with_columns(
        pl.when(blank).then(None).otherwise(pl.col(name)).alias(name) for name in ("title", "abstract")
    )
    frame.write_parquet(tmp_path / "papers.parquet")
    seen: list[int] = []
    scores = score_with_checkpoint(
        [str(tmp_path)], model, columns=Columns(), on_progress=lambda progress: seen.append(progress.papers_done)
    )
    texts = frame.with_columns(normalize(pl.col("title", "abstract")))
    assert np.isnan(scores.values).nonzero()[0].tolist() == [3]
    for row in (0, 29):
        alone = model.predict_proba([texts["title"][row]], [texts["abstract"][row]])
        assert_allclose(scores.values[row], alone[0], rtol=0, atol=ATOL)
    assert (scores.name, scores.threshold, seen) == ("tiny_checkpoint", 0.5, [30])


def test_command_measures_a_checkpoint_beside_its_bundle(
    invoke: Invoke, tiny_bundle: Path, tmp_path: Path, papers: pl.DataFrame
) -> None:
    papers.write_parquet(tmp_path / "papers.parquet")
    outcome = invoke(
        cli.command, [tmp_path / "papers.parquet", "--bundle", tiny_bundle, "--checkpoint", CHECKPOINT, "--quiet"]
    )
    assert outcome.code == 0, outcome.stderr
    header, *_ = outcome.stdout.splitlines()
    assert header.split() == ["tiny", "tiny_checkpoint"]
    assert "against tiny" in outcome.stdout
    assert outcome.stderr == ""


def test_without_pytorch_the_message_says_what_to_install(
    invoke: Invoke, papers_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    outcome = invoke(cli.command, [papers_path, "--checkpoint", CHECKPOINT])
    assert outcome.code == 78
    assert "needs torch" in outcome.stderr
    assert "pip install 'ro32[train]'" in outcome.stderr


def test_a_folder_that_is_no_checkpoint_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match=r"it has no config\.json"):
        CheckpointModel(tiny_bundle, "cs.RO")


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    folder = copytree(CHECKPOINT, tmp_path / "checkpoint")
    weights = load_file(folder / "model.safetensors")
    weights.pop("classifier.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BundleError, match=r"classifier\.weight"):
        CheckpointModel(folder, "cs.RO")


@pytest.mark.parametrize(
    "damage",
    [
        {"hidden_size": "abc"},
        {"num_attention_heads": 0},
        {"hidden_act": "nonsense"},
        {"dtype": "nonsense"},
        [1],
    ],
)
def test_a_damaged_configuration_is_refused(damage: dict[str, object] | list[int], tmp_path: Path) -> None:
    """Each makes transformers raise another exception."""
    folder = copytree(CHECKPOINT, tmp_path / "checkpoint")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | damage if isinstance(damage, dict) else damage))
    with pytest.raises(BundleError, match=r"config\.json"):
        CheckpointModel(folder, "cs.RO")


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    """They can run code."""
    folder = copytree(CHECKPOINT, tmp_path / "checkpoint")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BundleError, match="can run code"):
        CheckpointModel(folder, "cs.RO")


def test_the_digest_is_of_all_that_decides_a_score(tmp_path: Path) -> None:
    folder = copytree(CHECKPOINT, tmp_path / "checkpoint")
    digest = Checkpoint.open(folder).digest
    (folder / "README.md").write_text("---\nlicense: mit\n---\nanother card")
    assert Checkpoint.open(folder).digest == digest
    with (folder / "config.json").open("a") as file:
        file.write("\n")
    assert Checkpoint.open(folder).digest != digest
