"""The training loop: read it from top to bottom."""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from ro32.errors import UsageError
from ro32.train.batches import Shaper, plan_epoch
from ro32.train.choose import PaperSet
from ro32.train.config import Keep, Recipe
from ro32.train.device import Device
from ro32.train.state import RunFolder, TrainingProgress, writing
from ro32.train.step import Stepper
from ro32.train.stopping import StopRequest
from ro32.train.validate import validate
from ro32.train.watch import Watch

STEPS_PER_REPORT = 20
"""Steps between two fetches of the loss; every fetch waits for the device."""


class DivergedError(UsageError):
    """The loss is no longer a number: the recipe has to change."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What the loop works on. The model is on the device; `auxiliary` names its outputs beyond the two labels."""

    model: PreTrainedModel
    training: PaperSet
    validation: PaperSet
    recipe: Recipe
    device: Device
    auxiliary: tuple[str, ...]


class Loop:
    """One run of the recipe's epochs, going on where the folder's last snapshot was taken.

    There is a snapshot after each epoch and each `save_every` steps; the folder keeps the best epoch's weights too.
    """

    def __init__(self, task: Task, folder: RunFolder, watch: Watch, *, save_every: int) -> None:
        self._task, self._folder, self._watch, self._save_every = task, folder, watch, save_every
        self._shaper = Shaper(
            rows=task.recipe.batch_size,
            max_length=task.recipe.max_length,
            pad=task.model.config.pad_token_id or 0,
            tokens_per_pass=task.device.tokens_per_pass,
            fixed=task.device.compiles,
            row_multiple=task.device.devices,
            auxiliary=task.auxiliary,
            full_length=task.recipe.full_length,
        )
        self._per_epoch = steps_per_epoch(task.training, task.recipe)
        total = self._per_epoch * task.recipe.epochs
        self._stepper = Stepper(task.model, task.recipe, task.device, total_steps=total)
        self._progress = TrainingProgress()
        # Resuming, in this order: weights and moments; the sums. The position follows from the number of steps.
        if (snapshot := folder.load()) is not None:
            self._progress, weights, moments = snapshot
            self._stepper.restore(weights, moments, step=self._progress.step)
            self._stepper.loss_sum = self._progress.pending_loss_sum
            watch.say(f"going on after step {self._progress.step:,} of {total:,}")
        self._started = time.monotonic() - self._progress.seconds
        # The mean of the weights after the first and the last epoch is measured too, as if it were an epoch's.
        self._averages = task.recipe.average and task.recipe.epochs > 1

    def run(self) -> TrainingProgress:
        """Train to the end, and return the progress then: all results, and which is the best.

        Raises:
            Interrupted: A signal came; the state is saved.
            DivergedError: The loss is not finite; the last snapshot remains.
            ReadWriteError: The disk is full or failed, with the same effect.
        """
        progress, epochs = self._progress, self._task.recipe.epochs
        self._task.model.train()
        with writing(self._folder.output), StopRequest() as stop:
            self._watch.open_metrics(self._folder.output, step=progress.step, results=len(progress.results))
            for epoch in range(len(progress.results), epochs):
                self._take_steps(epoch, stop)
                self._evaluate({"epoch": epoch + 1, "training_loss": progress.loss_sum / self._per_epoch}, stop)
                if self._averages and epoch in (0, epochs - 1):
                    self._folder.keep(f"epoch-{epoch + 1}", _weights(self._task.model))
                self._save()
            if self._averages and len(progress.results) == epochs:
                first, last = (self._folder.kept(f"epoch-{epoch}") for epoch in (1, epochs))
                self._stepper.put_weights(
                    {name: ((tensor.double() + last[name]) / 2).to(tensor.dtype) for name, tensor in first.items()}
                )
                training_loss = progress.results[-1]["training_loss"]
                self._evaluate({"epoch": epochs, "training_loss": training_loss, "averaged_with_epoch": 1}, stop)
                self._save()
        return progress

    def _take_steps(self, epoch: int, stop: StopRequest) -> None:
        task, watch, progress, end = self._task, self._watch, self._progress, (epoch + 1) * self._per_epoch
        lengths = task.training.lengths
        if task.recipe.full_length:  # all are alike to the device
            lengths = np.full_like(lengths, task.recipe.max_length)
        plan = plan_epoch(lengths, batch_size=task.recipe.batch_size, seed=task.recipe.seed, epoch=epoch)
        done = progress.step - epoch * self._per_epoch
        papers_done = sum(len(at) for at in plan[:done])
        watch.begin(f"epoch {epoch + 1}/{task.recipe.epochs}", len(task.training), done=papers_done)
        for at in plan[done:]:
            self._stepper.take(self._shaper.batches(task.training, at), step=progress.step)
            progress.step += 1
            reports = progress.step % STEPS_PER_REPORT == 0 or progress.step == end
            watch.advance(len(at), self._report(epoch) if reports else "")
            if stop or progress.step % self._save_every == 0:
                self._save()
                stop.obey()

    def _report(self, epoch: int) -> str:
        """Fetch the loss of the steps since the last report, note it, and say it."""
        step, before = self._progress.step, max(epoch * self._per_epoch, _last_report(self._progress.step - 1))
        pending = self._stepper.loss_sum
        _stop_unless_finite(pending, first=before + 1, last=step)
        self._stepper.loss_sum = 0.0
        self._progress.loss_sum += pending
        mean = pending / (step - before)
        self._watch.record({"step": step, "epoch": epoch + 1, "loss": mean})
        return f"loss {mean:.4f}"

    def _evaluate(self, about: dict[str, float], stop: StopRequest) -> None:
        """Measure the model as it is, add to what is known about it, and keep it if it is the best so far."""
        task, progress = self._task, self._progress

        def on_papers(papers: int) -> None:
            self._watch.advance(papers)
            if stop:
                self._save()
                stop.obey()

        self._watch.begin("validation", len(task.validation))
        measures, scores = validate(task.model, task.validation, task.device, self._shaper, on_papers=on_papers)
        self._watch.end()
        row = {**about, "step": progress.step, **measures}
        best = progress.results[progress.best_result - 1] if progress.best_result else None
        progress.results.append(row)
        progress.loss_sum = 0.0
        if best is None or _worth(row, task.recipe.keep) > _worth(best, task.recipe.keep):
            progress.best_result = len(progress.results)
            kept = {f"weights.{name}": tensor for name, tensor in _weights(task.model).items()} | {
                "scores": torch.from_numpy(scores),
                "positive": torch.from_numpy(task.validation.positive),
                "weights_of_papers": torch.from_numpy(task.validation.weights),
            }
            self._folder.keep(f"best-{progress.best_result}", kept)
        self._watch.record(row)
        self._watch.say(_describe(row))

    def _save(self) -> None:
        progress, weights = self._progress, _weights(self._task.model)
        progress.pending_loss_sum = self._stepper.loss_sum
        progress.seconds = time.monotonic() - self._started
        sums = [progress.pending_loss_sum, *(float(tensor.sum()) for tensor in weights.values())]
        _stop_unless_finite(sum(sums), first=_last_report(progress.step - 1) + 1, last=progress.step)
        self._folder.save(progress, weights=weights, moments=self._stepper.optimizer_state())


def steps_per_epoch(training: PaperSet, recipe: Recipe) -> int:
    """Return how many steps an epoch has."""
    return -(-len(training) // recipe.batch_size)


def _weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _last_report(step: int) -> int:
    return step // STEPS_PER_REPORT * STEPS_PER_REPORT


def _stop_unless_finite(loss_sum: float, *, first: int, last: int) -> None:
    if not math.isfinite(loss_sum):
        raise DivergedError(
            f"the loss is not finite between steps {first} and {last}; the last snapshot before is kept. Start again"
            " with a lower --learning-rate, or with --dtype float32"
        )


def _worth(row: dict[str, float], keep: Keep) -> float:
    worth = {Keep.F1: row["f1"], Keep.LOSS: -row["loss"], Keep.AVERAGE_PRECISION: row["average_precision"]}
    return worth[keep]


def _describe(row: dict[str, float]) -> str:
    mean = f", averaged with epoch {row['averaged_with_epoch']}" if "averaged_with_epoch" in row else ""
    return (
        f"epoch {row['epoch']}{mean}, step {row['step']:,}: training loss {row['training_loss']:.4f}, validation loss"
        f" {row['loss']:.4f}, AP {row['average_precision']:.4f}, F1 {row['f1']:.4f} (precision {row['precision']:.4f},"
        f" recall {row['recall']:.4f}), best F1 {row['best_f1']:.4f} at {row['best_threshold']:.3f}"
    )
