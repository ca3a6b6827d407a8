"""A whole run: what it leaves behind, that it can be broken and goes on, and what it refuses."""

import dataclasses
import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.numpy import load_file
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    MPNetConfig,
    PretrainedConfig,
    RobertaConfig,
)

from ro32.cli.train import command
from ro32.errors import InputDataError, InputMissingError, Interrupted, OutputError, UsageError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model.text_form import TextForm
from ro32.train import loop
from ro32.train.config import ORIGINAL, SMALL, Keep, Optimizer, Recipe, Split
from ro32.train.loop import DivergedError
from ro32.train.run import Options, run
from ro32.train.state import RunFolder
from ro32.train.step import Stepper
from ro32.train.validate import validate
from ro32.train.watch import Watch
from tests.command_line import Invoke
from tests.train.conftest import MakeOptions

QUIET = Watch(quiet=True)


def test_original_recipe_is_that_of_the_original_card() -> None:
    assert ORIGINAL.base == "sentence-transformers/allenai-specter"
    assert (ORIGINAL.optimizer, ORIGINAL.learning_rate, ORIGINAL.weight_decay) == (Optimizer.ADAM, 7.5e-6, 0.0)
    assert (ORIGINAL.batch_size, ORIGINAL.epochs, ORIGINAL.seed, ORIGINAL.max_length) == (32, 3, 20230227, 512)
    assert (ORIGINAL.train_share, ORIGINAL.validation_share) == (0.70, 0.15)
    assert ORIGINAL.hard_negatives is None
    assert (ORIGINAL.from_year, ORIGINAL.split, ORIGINAL.split_seed) == (2010, Split.STRATIFIED, 20230216)
    assert (ORIGINAL.full_length, ORIGINAL.keep, ORIGINAL.text_form) == (True, Keep.LOSS, TextForm.ORIGINAL)
    assert SMALL.id2label == {0: "other", 1: "cs.RO"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run that nothing breaks is made once."""
    return tmp_path_factory.mktemp("whole") / "run"


@pytest.fixture
def unbroken(whole: Path, recipe: Recipe, options: MakeOptions) -> Options:
    """The run of the recipe that nothing broke. Not to be changed."""
    chosen = options(output=whole)
    if not whole.exists():
        run(chosen, recipe, QUIET)
    return chosen


def test_run_writes_a_complete_checkpoint(unbroken: Options) -> None:
    chosen = unbroken
    model = AutoModelForSequenceClassification.from_pretrained(chosen.output)
    assert model.config.id2label == {0: "other", 1: "cs.RO"}
    assert AutoTokenizer.from_pretrained(chosen.output).model_max_length == 64
    card = (chosen.output / "README.md").read_text()
    assert "More information needed" not in card
    results = ModelCard.load(chosen.output / "README.md").data.eval_results
    record = json.loads((chosen.output / "training.json").read_text())
    best = record["results"][record["best_result"] - 1]
    assert {result.metric_type: result.metric_value for result in results} == {
        name: best[name] for name in ("accuracy", "f1", "precision", "recall", "average_precision")
    }
    assert record["results"][1]["training_loss"] < record["results"][0]["training_loss"]
    for picture in ("loss.png", "precision_recall.png"):
        assert (chosen.output / picture).read_bytes().startswith(b"\x89PNG")
        assert f"]({picture})" in card
    assert not (chosen.output / ".run").exists()
    lines = [json.loads(line) for line in (chosen.output / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)


@pytest.mark.drawn(2)
@pytest.mark.parametrize(("how", "stop_at"), [("SIGTERM", 3), ("SIGTERM", 8), ("SIGTERM", 11), ("SIGKILL", 13)])
def test_broken_and_resumed_run_equals_an_unbroken_one(
    how: str,
    stop_at: int,
    unbroken: Options,
    recipe: Recipe,
    options: MakeOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, broken = unbroken, options(output=tmp_path / "broken")
    if how == "SIGTERM":
        _stop_after(stop_at, monkeypatch)
        with pytest.raises(Interrupted, match="SIGTERM"):
            run(broken, recipe, QUIET)
    else:
        _vanish_after(stop_at, monkeypatch)
        with pytest.raises(_Vanished):
            run(broken, recipe, QUIET)
    monkeypatch.undo()
    assert list((broken.output / ".run").glob("step-*"))
    run(broken, recipe, QUIET)

    a, b = (load_file(folder.output / "model.safetensors") for folder in (whole, broken))
    assert a.keys() == b.keys()
    for name, weights in a.items():
        np.testing.assert_array_equal(weights, b[name], err_msg=name)
    records = [json.loads((folder.output / "training.json").read_text()) for folder in (whole, broken)]
    assert records[0]["results"] == records[1]["results"]
    assert (whole.output / "metrics.jsonl").read_text() == (broken.output / "metrics.jsonl").read_text()


def test_damaged_snapshot_is_passed_over_for_the_one_before(
    unbroken: Options, recipe: Recipe, options: MakeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = unbroken, options(output=tmp_path / "broken")
    _stop_after(11, monkeypatch)
    with pytest.raises(Interrupted):
        run(broken, recipe, QUIET)
    monkeypatch.undo()
    kept = sorted((broken.output / ".run").glob("step-*"))
    assert len(kept) == 2
    tensors = kept[-1] / "state.safetensors"
    damaged = bytearray(tensors.read_bytes())
    damaged[-1] ^= 1
    tensors.write_bytes(damaged)
    run(broken, recipe, QUIET)
    a, b = ((folder.output / "model.safetensors").read_bytes() for folder in (whole, broken))
    assert a == b


def test_the_mean_over_epochs_is_measured_and_kept_if_best(
    recipe: Recipe, options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, dict[str, torch.Tensor]] = {}
    keep = RunFolder.keep

    def keep_and_note(self: RunFolder, name: str, tensors: dict[str, torch.Tensor]) -> None:
        kept[name] = tensors
        keep(self, name, tensors)

    monkeypatch.setattr(RunFolder, "keep", keep_and_note)
    monkeypatch.setattr(loop, "_worth", lambda row, _keep: float("averaged_with_epoch" in row))
    run(options(), dataclasses.replace(recipe, epochs=3, average=True), QUIET)

    record = json.loads((options().output / "training.json").read_text())
    assert [row["epoch"] for row in record["results"]] == [1, 2, 3, 3]
    assert record["best_result"] == 4
    assert kept.keys() == {"epoch-1", "epoch-3", "best-1", "best-4"}
    published = load_file(options().output / "model.safetensors")
    for name, weights in published.items():
        mean = (kept["epoch-1"][name] + kept["epoch-3"][name]) / 2
        np.testing.assert_allclose(weights, mean, rtol=0, atol=1e-7, err_msg=name)
    card = (options().output / "README.md").read_text()
    assert "kept: the mean of the weights after epochs 1 and 3" in card
    assert "| mean of 1 and 3 |" in card


@pytest.mark.drawn(1)
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_run_broken_while_the_mean_is_measured_goes_on(
    how: str, recipe: Recipe, options: MakeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = options(output=tmp_path / "whole"), options(output=tmp_path / "broken")
    averaged = dataclasses.replace(recipe, average=True)
    run(whole, averaged, QUIET)

    results = 0

    def validate_and_break(*args: Any, **names: Any) -> Any:
        nonlocal results
        results += 1
        if results == 3 and how == "SIGTERM":
            signal.raise_signal(signal.SIGTERM)
        elif results == 3:
            raise _Vanished
        return validate(*args, **names)

    monkeypatch.setattr(loop, "validate", validate_and_break)
    with pytest.raises(Interrupted if how == "SIGTERM" else _Vanished):
        run(broken, averaged, QUIET)
    monkeypatch.undo()
    run(broken, averaged, QUIET)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (whole.output / name).read_bytes() == (broken.output / name).read_bytes()


def test_metrics_after_the_last_save_are_dropped(tmp_path: Path) -> None:
    lines = [{"step": 5, "loss": 1.0}, {"step": 5, "training_loss": 1.0}, {"step": 6, "loss": 1.0}]
    zeros = "\0" * 9 + "}\n"  # a power failure left them
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + zeros)
    Watch(quiet=True).open_metrics(tmp_path, step=5, results=0)
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == lines[:1]


def test_resume_with_another_recipe_is_refused(
    recipe: Recipe, options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop_after(2, monkeypatch)
    with pytest.raises(Interrupted):
        run(options(), recipe, QUIET)
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"learning_rate: 0\.001 there, 0\.002 asked for"):
        run(options(), dataclasses.replace(recipe, learning_rate=2e-3), QUIET)
    with pytest.raises(UsageError, match="limit: 200 there, 500 asked for"):
        run(options(limit=500), recipe, QUIET)


def test_non_finite_loss_stops_and_keeps_the_last_good_snapshot(recipe: Recipe, options: MakeOptions) -> None:
    chosen = options(save_every=1)
    with pytest.raises(DivergedError, match=r"between steps \d+ and \d+") as caught:
        run(chosen, dataclasses.replace(recipe, learning_rate=1e30, max_gradient_norm=0.0), QUIET)
    assert caught.value.exit_code == UsageError.exit_code
    for folder in (chosen.output / ".run").glob("step-*"):
        assert all(np.isfinite(tensor).all() for tensor in load_file(folder / "state.safetensors").values())


def test_another_category_and_kept_by_f1(recipe: Recipe, options: MakeOptions, papers_path: Path) -> None:
    categories = pl.read_parquet(papers_path)["categories"].str.split(" ").explode().value_counts(sort=True)
    category = next(name for name in categories["categories"] if name != "cs.RO")
    chosen = options(limit=None)
    small = dataclasses.replace(
        recipe,
        category=category,
        epochs=1,
        keep=Keep.F1,
        hard_negatives=100,
        random_negatives=50,
        validation_papers=150,
    )
    run(chosen, small, QUIET)
    record = json.loads((chosen.output / "training.json").read_text())
    positives = record["data"]["training"]["positives"]
    assert record["data"]["training"]["shown"] == positives + 150
    assert record["data"]["validation"]["measured"] == pytest.approx(150, abs=2)
    config = json.loads((chosen.output / "config.json").read_text())
    assert config["id2label"] == {"0": "other", "1": category}


def test_no_positive_paper_names_frequent_categories(recipe: Recipe, options: MakeOptions) -> None:
    with pytest.raises(InputDataError, match=r"cs\.XX among the 142 for training, found 0 inside; .* cs\.RO \(\d+\)"):
        run(options(), dataclasses.replace(recipe, category="cs.XX"), QUIET)


@pytest.mark.parametrize("recipe_name", ["original", "small"])
def test_a_dump_of_positives_alone_is_refused(
    recipe_name: str, recipe: Recipe, options: MakeOptions, tmp_path: Path, papers: pl.DataFrame
) -> None:
    papers.filter(pl.col("categories").str.contains(r"cs\.RO")).write_parquet(tmp_path / "dump.parquet")
    hard = None if recipe_name == "original" else 10
    with pytest.raises(InputDataError, match=r"inside and outside of cs\.RO among the (\d+) for training, found \1 "):
        run(options(data=tmp_path / "dump.parquet"), dataclasses.replace(recipe, hard_negatives=hard), QUIET)


def test_validation_papers_that_are_trained_on_are_left_out(
    recipe: Recipe, options: MakeOptions, papers: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shuffled = papers.sample(fraction=1, shuffle=True, seed=1)
    shuffled.head(200).write_parquet(tmp_path / "train.parquet")
    shuffled.slice(150).write_parquet(tmp_path / "validation.parquet")
    chosen = options(data=tmp_path / "train.parquet", validation=tmp_path / "validation.parquet", limit=None)
    run(chosen, dataclasses.replace(recipe, epochs=1), Watch())
    assert "50 validation papers are left out" in capsys.readouterr().err
    assert (
        json.loads((chosen.output / "training.json").read_text())["data"]["validation"]["papers"] == len(papers) - 200
    )


def test_an_update_needs_its_trained_model(invoke: Invoke, papers_path: Path, tmp_path: Path) -> None:
    outcome = invoke(command, ["--data", papers_path, "--preset", "update", "-o", tmp_path / "run"])
    assert (outcome.code, "name the trained model with --base" in outcome.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_folder_that_is_no_run_is_refused(recipe: Recipe, options: MakeOptions, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(OutputError, match="not empty"):
        run(options(output=tmp_path / "full"), recipe, QUIET)


def test_too_little_disk_is_reported_before_training(
    recipe: Recipe, options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10})())
    with pytest.raises(OutputError, match="GB are free"):
        run(options(), recipe, QUIET)


def test_missing_column_is_reported(recipe: Recipe, options: MakeOptions, tmp_path: Path, papers: pl.DataFrame) -> None:
    papers.drop("abstract").write_parquet(tmp_path / "dump.parquet")
    with pytest.raises(InputDataError, match="no column abstract; it has id, title"):
        run(options(data=tmp_path / "dump.parquet"), recipe, QUIET)


def test_a_missing_dump_is_reported_before_a_hub_is_asked(recipe: Recipe, options: MakeOptions, tmp_path: Path) -> None:
    recipe = dataclasses.replace(recipe, base="owner/no-such-model")
    with pytest.raises(InputMissingError, match=r"missing\.parquet"):
        run(options(data=tmp_path / "missing.parquet"), recipe, QUIET)


def test_base_that_is_not_there_is_reported(recipe: Recipe, options: MakeOptions, tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match="base model"):
        run(options(), dataclasses.replace(recipe, base=str(tmp_path / "nothing")), QUIET)


def test_base_that_is_no_encoder_is_reported(recipe: Recipe, options: MakeOptions, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InputDataError, match="not an encoder"):
        run(options(), dataclasses.replace(recipe, base=str(tmp_path)), QUIET)


def test_base_with_pickled_weights_alone_is_refused(
    recipe: Recipe, options: MakeOptions, base: Path, tmp_path: Path
) -> None:
    pickled = Path(shutil.copytree(base, tmp_path / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InputDataError, match=r"has no model\.safetensors"):
        run(options(), dataclasses.replace(recipe, base=str(pickled)), QUIET)


@pytest.mark.parametrize("kind", [MPNetConfig, RobertaConfig])
def test_a_length_beyond_the_positions_of_the_base_is_wrong_usage(
    kind: type[PretrainedConfig], invoke: Invoke, base: Path, papers_path: Path, tmp_path: Path
) -> None:
    """Both count positions from padding_idx + 1 on: two rows of their tables are never used."""
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = kind(vocab_size=3000, max_position_embeddings=66, pad_token_id=1, **sizes)
    other = Path(shutil.copytree(base, tmp_path / "base"))
    AutoModel.from_config(config).save_pretrained(other)
    args: list[str | Path] = ["--data", papers_path, "--base", other, "-o", tmp_path / "run", "--epochs", "1"]
    for option, length in (("--max-length", "65"), ("--scoring-length", "600")):
        outcome = invoke(command, [*args, "--max-length", "64", option, length])
        assert outcome.code == 2, outcome.stderr
        assert f"--max-length or --scoring-length {length}: {other} reads at most 64 tokens" in outcome.stderr
    assert not (tmp_path / "run").exists()
    longest: list[str | Path] = ["--max-length", "64", "--limit", "150", "--cache", tmp_path / "cache", "--quiet"]
    outcome = invoke(command, [*args, *longest, "--text-form", "ro32"])
    assert outcome.code == 0, outcome.stderr
    assert Checkpoint.open(tmp_path / "run").max_length == 64


def test_command_line(invoke: Invoke, base: Path, papers_path: Path, tmp_path: Path) -> None:
    args: list[str | Path] = ["--data", papers_path, "--base", base, "--limit", "150"]
    args += ["--max-length", "32", "--epochs", "1", "--quiet"]
    outcome = invoke(command, [*args, "--cache", tmp_path / "cache", "-o", tmp_path / "run", "--dtype", "float32"])
    assert outcome.stderr == ""
    assert outcome.code == 0
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert record["command"].startswith("ro32-train --data papers.parquet --base ")
    outcome = invoke(command, [*args, "--learning-rate", "-1", "-o", tmp_path / "run2"])
    assert outcome.code == 2
    assert "learning_rate: expected above 0, found -1.0" in outcome.stderr


def _stop_after(stop_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Stepper.take

    def take_and_stop(self: Stepper, *args: object, step: int) -> None:
        take(self, *args, step=step)  # type: ignore[arg-type]
        if step == stop_at:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Stepper, "take", take_and_stop)


class _Vanished(BaseException):
    """Ends a run as SIGKILL does: nothing that expects an error sees it."""


def _vanish_after(stop_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Stepper.take

    def take_and_vanish(self: Stepper, *args: object, step: int) -> None:
        take(self, *args, step=step)  # type: ignore[arg-type]
        if step == stop_at:
            raise _Vanished

    monkeypatch.setattr(Stepper, "take", take_and_vanish)


def test_the_original_s_preset_is_what_it_says(base: Path, papers_path: Path, tmp_path: Path, invoke: Invoke) -> None:
    """Steps, lengths and split of the original, in log and card; on a base small enough for a test."""
    negatives = tmp_path / "negatives.jsonl"
    negatives.write_text('{"id": "W1", "title": "Robots in films", "abstract": null}\n', encoding="utf-8")
    args: list[str | Path] = ["--preset", "original", "--base", base, "--limit", "150"]
    args += ["--negatives", negatives, "--epochs", "1"]
    done = invoke(command, ["--data", papers_path, "-o", tmp_path / "run", "--cache", tmp_path / "cache", *args])
    log = done.stderr
    assert done.code == 0, log
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    card = (tmp_path / "run" / "README.md").read_text()
    training, data = record["data"]["training"], record["data"]
    steps = -(-training["papers"] // 32)
    said = r"Papers from 2010 on: \d+ of \d+\. Split 70/15/15 stratified by first category, seed 20230216: "
    assert re.match(said, data["split"])
    assert data["split"] in log
    assert data["split"] in card
    assert f"1 epochs of {steps} steps, 32 papers a step, each padded to 512 tokens" in log
    assert f"32, each padded to 512 tokens; {steps} steps an epoch" in card
    assert "kept: epoch 1, the best by validation loss" in card
    assert 'title + ". " + abstract' in card
    assert f"1 of the training papers come from another file (`{data['negatives']}`)" in card
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["text_form"] == "original"
    assert config["id2label"] == {"0": "other", "1": "cs.RO"}


def test_the_epoch_with_the_least_loss_is_kept(recipe: Recipe, options: MakeOptions) -> None:
    run(options(), dataclasses.replace(recipe, keep=Keep.LOSS, epochs=3, learning_rate=1e-2), QUIET)
    record = json.loads((options().output / "training.json").read_text())
    losses = [row["loss"] for row in record["results"]]
    assert record["best_result"] == losses.index(min(losses)) + 1


def test_training_goes_on_in_the_form_of_its_base(base: Path, recipe: Recipe, options: MakeOptions) -> None:
    config = json.loads((base / "config.json").read_text())
    other = options().output.parent / "base"
    shutil.copytree(base, other)
    (other / "config.json").write_text(json.dumps(config | {"text_form": "original"}))
    run(options(), dataclasses.replace(recipe, base=str(other), epochs=1), QUIET)
    assert json.loads((options().output / "config.json").read_text())["text_form"] == "original"
