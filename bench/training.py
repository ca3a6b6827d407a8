"""ro32's training loop against transformers.Trainer with its defaults: same base, papers, length, rates and arithmetic.

Both fine-tune the packaged MiniLM for one epoch on papers that were tokenized before the clock starts.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from tokenizers import Tokenizer
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast, Trainer, TrainingArguments

from bench.measure import Say, quartiles, take_turns
from bench.results import Section, at_least, at_most
from ro32.train.choose import PaperSet, take
from ro32.train.config import SMALL, Optimizer, Recipe
from ro32.train.corpus import load_corpus
from ro32.train.device import DType, Kind
from ro32.train.dump import Dump
from ro32.train.encoder import Encoder
from ro32.train.hardware import has_bfloat16_products, open_device
from ro32.train.loop import Loop, Task
from ro32.train.split import split
from ro32.train.state import RunFolder
from ro32.train.watch import Watch

LEARNING_RATE = 5e-5  # Trainer's default
LEAST_RATIO = 1.8


def compare(papers: Path, *, max_length: int, repeats: int, say: Say) -> Section:
    """Train both in turns, each repeat with a seed of its own: the spread over at least two seeds tells what is noise.

    Of the papers 70 % are trained on, and 15 % measured.
    """
    dtype = DType.BFLOAT16 if has_bfloat16_products() else DType.FLOAT32
    settings = {"papers": str(papers), "max_length": max_length, "dtype": dtype.value}
    found = take_turns({name: (f"bench.training:{name}", settings) for name in ("ours", "trainer")}, repeats, say)
    rates = {name: [child.result["papers_per_s"] for child in children] for name, children in found.items()}
    losses = {name: [child.result["validation_loss"] for child in children] for name, children in found.items()}
    ratio = quartiles([a / b for a, b in zip(rates["ours"], rates["trainer"], strict=True)])
    difference = float(np.mean(losses["ours"]) - np.mean(losses["trainer"]))
    # Standard error of that difference, from the spread over seeds.
    noise = float(np.sqrt(sum(np.var(values, ddof=1) / len(values) for values in losses.values())))
    sizes = {name: found["ours"][0].result[name] for name in ("training_papers", "validation_papers")}
    rate = {"batch_size": Recipe.batch_size, "learning_rate": LEARNING_RATE}
    return Section(
        settings={**settings, "papers": papers.name, "repeats": repeats, **rate, **sizes},
        figures={
            name: {
                "papers_per_s": quartiles(rates[name]),
                "validation_losses": losses[name],
                "peak_rss_bytes": max(child.peak_rss_bytes for child in children),
            }
            for name, children in found.items()
        }
        | {"ratio": ratio, "loss_difference": difference, "loss_standard_error": noise},
        checks=[
            at_least("training papers/s, ro32 : transformers.Trainer", ratio["median"], LEAST_RATIO),
            at_most("validation loss, ro32 - Trainer", difference, 2 * noise),
        ],
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
    recipe, encoder, training, validation = _prepare(settings)
    task = Task(
        model=encoder.build(recipe),
        training=training,
        validation=validation,
        recipe=recipe,
        device=device,
        auxiliary=(),
    )
    with tempfile.TemporaryDirectory() as folder:
        run_folder = RunFolder(Path(folder) / "run", {}, resume=False)
        progress = Loop(task, run_folder, TimedWatch(quiet=True), save_every=200).run()
    return _result(training, validation, begun[1] - begun[0], progress.results[0]["loss"])


def trainer(settings: dict[str, Any]) -> dict[str, Any]:
    """Train with transformers.Trainer; what is not compared is left as it comes."""
    recipe, encoder, training, validation = _prepare(settings)
    model = encoder.build(recipe)
    model.set_attn_implementation("sdpa")  # what a model has that was loaded without asking for another
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_buffer(encoder.tokenizer_json),
        pad_token="[PAD]",  # noqa: S106
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=recipe.batch_size,
                num_train_epochs=recipe.epochs,
                learning_rate=LEARNING_RATE,
                bf16=settings["dtype"] == DType.BFLOAT16,
                use_cpu=True,
                seed=recipe.seed,
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=_rows(training),
            eval_dataset=_rows(validation),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        started = time.perf_counter()
        run.train()
        seconds = time.perf_counter() - started
        loss = run.evaluate()["eval_loss"]
    return _result(training, validation, seconds, loss)


def _prepare(settings: dict[str, Any]) -> tuple[Recipe, Encoder, PaperSet, PaperSet]:
    """Return the task that both are given: where to start from, and papers to train on and to measure with."""
    transformers.logging.set_verbosity_error()
    recipe = Recipe(
        base=SMALL.base,
        max_length=settings["max_length"],
        epochs=1,
        optimizer=Optimizer.ADAMW,
        learning_rate=LEARNING_RATE,
        seed=settings["repeat"],
    )
    encoder = Encoder(recipe.base, max_length=recipe.max_length)
    with tempfile.TemporaryDirectory() as cache:
        corpus = load_corpus(
            Dump.open(Path(settings["papers"])),
            tokenizer_json=encoder.tokenizer_json,
            max_length=recipe.max_length,
            cache=Path(cache),
        )
    # One split, whatever the seed of the training: all repeats are measured on the same papers.
    training, validation = split(corpus, replace(recipe, seed=Recipe.seed))
    return recipe, encoder, take(corpus, training, recipe.category), take(corpus, validation, recipe.category)


def _result(training: PaperSet, validation: PaperSet, seconds: float, loss: float) -> dict[str, Any]:
    return {
        "training_papers": len(training),
        "validation_papers": len(validation),
        "papers_per_s": len(training) / seconds,
        "validation_loss": loss,
    }


def _rows(papers: PaperSet) -> list[dict[str, Any]]:
    """Return papers as the items of a dataset."""
    corpus = papers.corpus
    return [
        {"input_ids": corpus.tokens[start : start + length].tolist(), "labels": int(positive)}
        for start, length, positive in zip(corpus.starts[papers.index], papers.lengths, papers.positive, strict=True)
    ]
