"""What a run keeps, where it was killed or its disk failed at a bad moment."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ro32.errors import OutputError, ReadWriteError, TryAgainError
from ro32.storage.lock import only_run
from ro32.train.config import Recipe
from ro32.train.run import run
from ro32.train.state import RunFolder, TrainingProgress, check_output
from ro32.train.watch import Watch
from tests.train.conftest import MakeOptions

QUIET = Watch(quiet=True)
TENSORS = {"a": torch.zeros(2)}


def save(folder: RunFolder, *, step: int, best: int) -> None:
    folder.save(TrainingProgress(step=step, best_result=best), weights=TENSORS, moments={"a": torch.ones(2)})


def best_of(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in (folder.output / ".run").glob("best-*"))


def test_the_best_weights_stay_until_no_snapshot_names_them(tmp_path: Path) -> None:
    """Steps that are taken again on a GPU may end elsewhere, so that an earlier result stays the best."""
    folder = RunFolder(tmp_path / "run", {}, resume=True)
    folder.keep("best-1", TENSORS)
    save(folder, step=1, best=1)
    folder.keep("best-2", TENSORS)  # and killed
    again = RunFolder(tmp_path / "run", {}, resume=True)
    loaded = again.load()
    assert loaded is not None
    assert loaded[0].best_result == 1
    assert best_of(again) == ["best-1"]
    again.keep("best-3", TENSORS)
    save(again, step=3, best=3)
    assert best_of(again) == ["best-1", "best-3"]  # that of the snapshot before
    again.keep("best-10", TENSORS)
    save(again, step=10, best=10)
    assert best_of(again) == ["best-10", "best-3"]


@pytest.mark.parametrize("name", ["identity.json", "best-1/state.safetensors", "best-1/state.json"])
def test_a_damaged_file_is_reported(name: str, tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", {"seed": 1}, resume=True).keep("best-1", TENSORS)
    (tmp_path / "run" / ".run" / name).write_bytes(b"{")
    with pytest.raises(ReadWriteError, match="is damaged; train again"):
        RunFolder(tmp_path / "run", {"seed": 1}, resume=True).kept("best-1")


def test_a_run_that_was_killed_after_its_last_line_is_complete(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", {}, resume=True)
    (tmp_path / "run" / "training.json").write_text("{}")
    with pytest.raises(OutputError, match="contains a complete checkpoint"):
        RunFolder(tmp_path / "run", {}, resume=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["training.json"]


def test_half_a_line_of_metrics_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
    Watch(quiet=True).open_metrics(tmp_path, step=5, results=0)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 1.0}\n'


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Let files of this process grow no longer than that, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_reported_and_the_run_resumed(recipe: Recipe, options: MakeOptions) -> None:
    with small_files(300_000), pytest.raises(ReadWriteError, match=r"run: writing failed: .*File too large"):
        run(options(), replace(recipe, epochs=1), QUIET)
    run(options(), replace(recipe, epochs=1), QUIET)
    assert (options().output / "training.json").exists()


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_run_in_one_folder_waits_for_its_turn(*, resume: bool, recipe: Recipe, options: MakeOptions) -> None:
    chosen = options(resume=resume)
    snapshot = chosen.output / ".run" / "step-00000001"
    snapshot.mkdir(parents=True)
    with only_run(chosen.output / "training.json"), pytest.raises(TryAgainError, match="wait until it ends"):
        run(chosen, recipe, QUIET)
    assert snapshot.exists()


def test_a_folder_in_which_a_run_was_killed_at_once_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".training.json.lock").touch()
    check_output(tmp_path)
