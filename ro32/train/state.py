"""The saved state of a run, from which an interrupted run is resumed.

    RUN/.run/identity.json            recipe, base and papers; a run with other ones does not resume from here
    RUN/.run/step-00000400/           state.json and state.safetensors; appears whole, by a rename; the last two stay
    RUN/.run/best-2/                  the weights of the best result so far, with its scores; and of the one before
    RUN/.run/epoch-1/                 the weights after an epoch, where the mean over epochs is asked for

The order of random numbers needs no file: a step's are drawn from the seed and its number (see `step`).
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ro32.errors import OutputError, ReadWriteError, UsageError, one_line
from ro32.storage import durable, strict_json
from ro32.storage.files import FileKind, kind_of
from ro32.storage.lock import lock_path

FOLDER = ".run"
RECORD = "training.json"
KEPT = 2
IDENTITY, STATE, TENSORS = "identity.json", "state.json", "state.safetensors"


@dataclass(kw_only=True)
class TrainingProgress:
    """Where a run is."""

    step: int = 0  # steps taken
    loss_sum: float = 0.0  # of the losses of this epoch's steps, up to the last report
    pending_loss_sum: float = 0.0  # the sum since; apart, so that a run that goes on adds in the same order
    seconds: float = 0.0  # over all of the run's processes
    # A row of the card's table for each epoch that was evaluated, and for the mean over epochs.
    results: list[dict[str, float]] = field(default_factory=list)
    best_result: int = 0  # the one of them whose weights are kept, from 1; 0 before the first


Tensors = dict[str, torch.Tensor]


class RunFolder:
    """The folder of a run; its state is discarded unless it is to be resumed.

    Raises:
        OutputError: The folder cannot be made, or holds something that is no run.
        UsageError: The folder holds a run of another identity: what decides what is learned, JSON.
    """

    def __init__(self, output: Path, identity: dict[str, Any], *, resume: bool) -> None:
        check_output(output)
        self.output, self._folder = output, output / FOLDER
        try:
            if not resume:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True, exist_ok=True)
            written = self._folder / IDENTITY
            if written.exists():
                _refuse_difference(output, strict_json.parse(written.read_text()), identity)
            else:
                durable.write(written, json.dumps(identity, indent=1).encode())
        except OSError as error:
            raise OutputError(f"{output}: cannot be created: {error.strerror}; name a writable folder") from error
        except ValueError as error:
            raise self._damaged(IDENTITY) from error

    def save(self, progress: TrainingProgress, *, weights: Tensors, moments: Tensors) -> None:
        """Write a snapshot beside the others, rename it into place, and remove all but the last two."""
        tensors = {f"weights.{name}": tensor for name, tensor in weights.items()}
        tensors |= {f"moments.{name}": tensor for name, tensor in moments.items()}
        _write_folder(self._folder / f"step-{progress.step:08d}", tensors, {"progress": asdict(progress)})
        for old in self._saved()[KEPT:]:
            shutil.rmtree(old)
        # Only now: a run that ends before goes on from an earlier result, and that may stay the best.
        for _, old in self._best()[:-KEPT]:
            shutil.rmtree(old)

    def load(self) -> tuple[TrainingProgress, Tensors, Tensors] | None:
        """Return progress, weights and the optimizer's moments of the newest snapshot that is whole, if any is."""
        for folder in self._saved():
            try:
                tensors, state = _read_folder(folder)
            except (OSError, ValueError, SafetensorError):
                continue  # damaged on the disk: the one before it is what the second is kept for
            progress = TrainingProgress(**state["progress"])
            for _, later in (item for item in self._best() if item[0] > progress.best_result):
                shutil.rmtree(later)  # of steps that are taken again
            return progress, under("weights.", tensors), under("moments.", tensors)
        return None

    def keep(self, name: str, tensors: Tensors) -> None:
        """Keep tensors under a name."""
        _write_folder(self._folder / name, tensors, {})

    def kept(self, name: str) -> Tensors:
        """Return the tensors that were kept under a name.

        Raises:
            ReadWriteError: They are damaged.
        """
        try:
            return _read_folder(self._folder / name)[0]
        except (OSError, ValueError, SafetensorError) as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> ReadWriteError:
        return ReadWriteError(f"{self._folder / name}: is damaged; train again, with --no-resume or in another folder")

    def finish(self) -> None:
        """Remove the state: the run is complete and published."""
        shutil.rmtree(self._folder)

    def _best(self) -> list[tuple[int, Path]]:
        """Return the kept weights of results, by the result's number."""
        return sorted((int(folder.name.removeprefix("best-")), folder) for folder in self._folder.glob("best-*"))

    def _saved(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"), reverse=True)


def check_output(output: Path) -> None:
    """Raise OutputError for what is no folder, or a folder that holds something else than a run."""
    try:
        found = kind_of(output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be created: {error.strerror}; name another folder") from error
    if found not in {None, FileKind.FOLDER}:
        raise OutputError(f"{output}: is {found}; name a folder")
    if (output / RECORD).exists():  # written last
        shutil.rmtree(output / FOLDER, ignore_errors=True)  # of a run that was killed when it had only this left to do
        raise OutputError(f"{output}: contains a complete checkpoint; name a new folder to train another")
    others = found and any(path != lock_path(output / RECORD) for path in output.iterdir())
    if others and not (output / FOLDER).is_dir():
        raise OutputError(f"{output}: is not empty and contains no run to resume; name a new or empty folder")


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Report that the disk is full or failed; what was saved before is still there."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise ReadWriteError(
            f"{output}: writing failed: {one_line(error)}; make room, and run the same command again to resume"
        ) from error


def _refuse_difference(output: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if names:
        each = "; ".join(f"{name}: {found.get(name)} there, {wanted.get(name)} asked for" for name in names)
        raise UsageError(
            f"{output}: holds a run that differs ({each}); repeat its options to resume it, name another folder, or"
            " discard it with --no-resume"
        )


def _write_folder(folder: Path, tensors: Tensors, state: dict[str, Any]) -> None:
    beside = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    save_file(tensors, beside / TENSORS)
    digest = _digest(beside / TENSORS)
    (beside / STATE).write_text(json.dumps({**state, "tensors": digest}, indent=1))
    durable.sync_files(beside)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    durable.sync_folder(folder.parent)


def _read_folder(folder: Path) -> tuple[Tensors, dict[str, Any]]:
    state = strict_json.parse((folder / STATE).read_text())
    if _digest(folder / TENSORS) != state["tensors"]:
        raise ValueError(f"{folder}: damaged")
    return load_file(folder / TENSORS), state


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def under(prefix: str, tensors: Tensors) -> Tensors:
    """Return the tensors whose name has a prefix, by the rest of it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
