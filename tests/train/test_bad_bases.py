"""Bases and dumps that cannot be trained on: refused in a sentence, before hours of training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModel, DistilBertConfig

from ro32.cli.train import command
from ro32.evaluation.checkpoint import Checkpoint
from tests.command_line import Invoke


def _rewrite(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _drop_a_layer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layer.1." not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture
def train(invoke: Invoke, papers_path: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Train an epoch on a few papers; return exit code and what stderr holds."""

    def call(base: Path | str, *options: str | Path, data: Path = papers_path) -> tuple[int, str]:
        args: list[str | Path] = ["--data", data, "--base", base, "--max-length", "32", "--epochs", "1", "--quiet"]
        args += ["--limit", "150"]
        outcome = invoke(command, [*args, "-o", tmp_path / "run", "--cache", tmp_path / "cache", *options])
        return outcome.code, outcome.stderr

    return call


BAD: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "a list for config.json": (_rewrite("config.json", b"[]"), 66, "cannot be loaded"),
    "a card of broken YAML": (_rewrite("README.md", b"---\n: [\n---\n"), 65, "its README.md or tokenizer_config.json"),
    "settings that are no JSON": (_rewrite("tokenizer_config.json", b"{"), 65, "its README.md or tokenizer_config.js"),
    "damaged weights": (_rewrite("model.safetensors", b"not safetensors"), 65, "its weights cannot be read"),
    "a layer too few": (_drop_a_layer, 65, "missing, or of another shape than its configuration says: bert.encoder.l"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_base_that_is_not_whole_is_refused(
    kind: str, base: Path, train: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    change, code, message = BAD[kind]
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    change(folder)
    assert (found := train(folder))[0] == code, found
    assert f"ro32-train: base model {folder}: " in found[1]
    assert message in found[1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("base", ["package:no.such/model", "package:", "package:.x/y"])
def test_a_package_that_is_not_there_is_reported(base: str, train: Callable[..., tuple[int, str]]) -> None:
    code, said = train(base)
    assert code == 66
    assert f"base model {base}: no package" in said


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--scoring-length", "2"], 2, "scoring_length: expected at least 4 tokens, found 2"),
        (["--cache", "/dev/null/cache"], 73, "/dev/null/cache: the tokenized dump cannot be written there"),
        (["--cache", "x" * 300], 73, "cannot be created: File name too long"),
        (["-o", "x" * 300], 73, "cannot be created: File name too long"),
    ],
)
def test_options_that_cannot_be_used(
    options: list[str], code: int, message: str, base: Path, train: Callable[..., tuple[int, str]]
) -> None:
    assert (found := train(base, *options))[0] == code, found
    assert message in found[1]


@pytest.mark.parametrize(("kind", "layers"), [("distilbert", 0), ("bert", 2)])
def test_layers_that_cannot_be_frozen_are_wrong_usage(
    kind: str, layers: int, base: Path, train: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    if kind == "distilbert":
        base = Path(shutil.copytree(base, tmp_path / "base"))
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16, "vocab_size": 3000}
        AutoModel.from_config(DistilBertConfig(**sizes)).save_pretrained(base)
    code, said = train(base, "--frozen-layers", "3")
    assert (code, f"of a base of type {kind}, {layers} layers can be frozen" in said) == (2, True), said


def test_a_dump_without_rows_is_refused(
    base: Path, papers: pl.DataFrame, train: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    papers.head(0).write_parquet(tmp_path / "dump.parquet")
    code, said = train(base, data=tmp_path / "dump.parquet")
    assert code == 65
    assert "expected papers, found no row" in said


def test_too_few_positives_for_a_linear_model_are_reported(
    base: Path, papers: pl.DataFrame, train: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """Each of its folds learns from the other, which has no positive paper here."""
    listed = pl.col("categories").str.contains("cs.RO", literal=True)
    others, positives = papers.filter(~listed).head(100), papers.filter(listed)
    pl.concat([others, positives.head(1)]).write_parquet(tmp_path / "dump.parquet")
    papers.tail(100).write_parquet(tmp_path / "validation.parquet")
    options = ["--validation", tmp_path / "validation.parquet", "--hard-negatives", "10", "--from-year", "0"]
    code, said = train(base, *options, "--limit", "100000", data=tmp_path / "dump.parquet")
    assert code == 65
    assert "a linear model learns from papers of both kinds, found 0 positive ones" in said


def test_a_base_without_settings_of_its_tokenizer_makes_a_whole_checkpoint(
    base: Path, train: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its length is that of scoring, in card and settings; and a folder is no model of a hub."""
    shutil.copytree(base, tmp_path / "bases" / "tiny")
    (tmp_path / "bases" / "tiny" / "tokenizer_config.json").unlink()
    monkeypatch.chdir(tmp_path)
    assert train("bases/tiny", "--scoring-length", "64", "--text-form", "ro32")[0] == 0
    checkpoint = Checkpoint.open(tmp_path / "run")
    assert (checkpoint.max_length, checkpoint.base_model) == (64, "unknown")
    assert "truncated on the right to 64 tokens" in checkpoint.card
    assert "a fine-tuned version of bases/tiny on" in checkpoint.card
    assert json.loads((tmp_path / "run" / "training.json").read_text())["max_length"] == 32
