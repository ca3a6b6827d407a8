"""A whole training run: checks, data, training, publication."""

import json
import logging
import platform
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from torch import nn

from ro32.errors import OutputError
from ro32.model.metrics import precision_recall
from ro32.model.processor import installed_versions
from ro32.storage import durable
from ro32.storage.lock import only_run
from ro32.train.card import describe_data, describe_split, describe_steps, write_card
from ro32.train.choose import choose_auxiliary, choose_training, choose_validation, take
from ro32.train.config import Recipe
from ro32.train.corpus import load_corpus
from ro32.train.device import DType, Kind
from ro32.train.dump import Dump
from ro32.train.encoder import Encoder
from ro32.train.hardware import open_device
from ro32.train.loop import Loop, Task, steps_per_epoch
from ro32.train.plots import CURVE, LOSS, plot_curve, plot_loss
from ro32.train.split import select, split
from ro32.train.state import FOLDER, RECORD, RunFolder, check_output, under, writing
from ro32.train.watch import METRICS, Watch

CORPUS_LENGTH = 512
"""Tokens that a corpus holds of a paper, so that recipes of other lengths find it in the cache. 0.45 % have more."""
BYTES_PER_CACHED_ROW = 600
PACKAGES = ("transformers", "torch", "torch_xla", "tokenizers", "polars", "scikit-learn", "huggingface-hub", "ro32")
"""Whose versions the record has."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where a run reads, writes and computes: only `data`, `limit` and `negatives` are part of what is learned."""

    data: Path
    validation: Path | None  # dump to validate on; without it, data is split
    negatives: Path | None = None  # papers that count as negative, whatever they are; trained on, never validated on
    output: Path  # folder of the run, in the end the checkpoint
    cache: Path
    limit: int | None  # take about so many papers of data, and the same share of validation
    device: Kind
    dtype: DType
    save_every: int  # steps between snapshots
    resume: bool
    command: str  # the command line, for the card


def run(options: Options, recipe: Recipe, watch: Watch) -> None:
    """Train and publish a checkpoint.

    Raises:
        Ro32Error: See its branches; input, base model, output and disk are checked before any training.
    """
    check_output(options.output)
    durable.create_folder(options.output)
    try:
        with only_run(options.output / RECORD):
            _run(options, recipe, watch)
    finally:
        with suppress(OSError):  # it holds something
            options.output.rmdir()


def _run(options: Options, recipe: Recipe, watch: Watch) -> None:
    transformers.logging.set_verbosity_error()  # that the head is new is no news
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would report each try

    # ---- checks ----
    dumps = [Dump.open(path) for path in (options.data, options.validation) if path is not None]
    negatives = [] if options.negatives is None else [Dump.open(options.negatives, labelled=False)]
    # After the dumps: a hub may let one wait.
    encoder = Encoder(recipe.base, max_length=max(recipe.max_length, recipe.scoring_length or 0))
    form = recipe.text_form or encoder.form
    recipe = replace(recipe, text_form=form)
    device = open_device(options.device, options.dtype)
    watch.say(f"training on {device.name}, {device.arithmetic}")

    # ---- data ----
    _need_disk(options.cache, sum(dump.rows for dump in dumps + negatives) * BYTES_PER_CACHED_ROW, "the tokenized dump")
    corpora = []
    for together in ([dumps[0], *negatives], *([dump] for dump in dumps[1:])):
        watch.begin(f"reading {together[0].path.name}", sum(dump.rows for dump in together))
        corpus = load_corpus(
            *together,
            tokenizer_json=encoder.tokenizer_json,
            max_length=max(CORPUS_LENGTH, recipe.max_length),
            cache=options.cache,
            form=form,
            share=1.0 if options.limit is None else min(1.0, options.limit / max(dumps[0].rows, 1)),
            on_rows=watch.advance,
        )
        watch.end()
        corpora.append(corpus)
    indices = [select(corpus, recipe) for corpus in corpora] if len(corpora) > 1 else list(split(corpora[0], recipe))
    whatever = np.flatnonzero(corpora[0].negative)
    if len(corpora) > 1:  # what is trained on validates nothing
        trained_on = corpora[0].id_hashes[np.concatenate([indices[0], whatever])]
        known = np.isin(corpora[1].id_hashes[indices[1]], trained_on)
        indices[1] = indices[1][~known]
        if known.any():
            watch.say(f"{known.sum():,} validation papers are left out, because they are trained on")
    divided = describe_split(recipe, corpora, indices)
    watch.say(divided)
    indices[0] = np.concatenate([indices[0], whatever])
    sides = [take(corpus, index, recipe.category) for corpus, index in zip((corpora * 2)[:2], indices, strict=True)]
    watch.say("choosing papers")
    training = choose_training(sides[0], recipe)
    validation = choose_validation(sides[1], sides[0], recipe)
    watch.say(
        f"training on {len(training):,} papers, {int(training.positive.sum()):,} of them {recipe.category};"
        f" validating on {len(validation):,}; {describe_steps(recipe, training)}"
    )

    # ---- training ----
    auxiliary = choose_auxiliary(training, recipe)
    model = encoder.build(recipe, auxiliary)
    _need_disk(options.output, 14 * 4 * model.num_parameters(), "the run's snapshots")
    of_negatives = negatives[0].digest if negatives else None
    of_data = {"data": [dump.digest for dump in dumps], "negatives": of_negatives, "limit": options.limit}
    folder = RunFolder(options.output, {**asdict(recipe), **of_data}, resume=options.resume)
    nn.Module.to(model, device.torch_device)
    task = Task(
        model=model,
        training=training,
        validation=validation,
        recipe=recipe,
        device=device,
        auxiliary=tuple(auxiliary),
    )
    progress = Loop(task, folder, watch, save_every=options.save_every).run()

    # ---- publication ----
    record = {
        "command": options.command,
        "max_length": recipe.max_length,
        "seed": recipe.seed,
        "recipe": asdict(recipe),
        "steps_per_epoch": steps_per_epoch(training, recipe),
        "data": {
            "split": divided,
            "negatives": of_negatives,
            **describe_data(corpora, sides, training, validation),
        },
        "model": {
            "type": model.config.model_type,
            "layers": model.config.num_hidden_layers,
            "hidden_size": model.config.hidden_size,
            "parameters": model.num_parameters(),
            "base_model": encoder.published,
        },
        "auxiliary": list(auxiliary),
        "device": device.name,
        "arithmetic": device.arithmetic,
        "versions": {"python": platform.python_version(), **installed_versions(PACKAGES)},
        "seconds": progress.seconds,
        "best_result": progress.best_result,
        "results": progress.results,
    }
    publish(encoder, recipe, folder, record)
    watch.say(f"{options.output}: complete; the card is in README.md")


def publish(encoder: Encoder, recipe: Recipe, folder: RunFolder, record: dict[str, Any]) -> None:
    """Make the run's folder a checkpoint: best weights, tokenizer, pictures, card, and last the record."""
    output = folder.output
    best = folder.kept(f"best-{record['best_result']}")
    model = encoder.build_published(recipe, under("weights.", best))
    with writing(output):
        staged = output / FOLDER / "publishing"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        model.save_pretrained(staged, safe_serialization=True)
        encoder.write_tokenizer(staged, max_length=recipe.scoring_length or recipe.max_length)
        lines = (output / METRICS).read_text().splitlines()
        plot_loss([json.loads(line) for line in lines], staged / LOSS)
        curve = precision_recall(best["positive"].numpy(), best["scores"].numpy(), best["weights_of_papers"].numpy())
        plot_curve(curve, record["results"][record["best_result"] - 1]["best_threshold"], staged / CURVE)
        card = write_card(record, name=output.resolve().name, license_id=encoder.of_card("license"))
        (staged / "README.md").write_text(card, encoding="utf-8")
        durable.sync_files(staged)
        for path in sorted(staged.iterdir()):
            path.replace(output / path.name)
        durable.sync_folder(output)
        durable.write(output / RECORD, (json.dumps(record, indent=1) + "\n").encode())
        folder.finish()


def _need_disk(folder: Path, needed: int, what: str) -> None:
    try:
        existing = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.exists())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created: {error.strerror}; name another folder") from error
    if free < needed:
        raise OutputError(
            f"{folder}: {what} will need about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; make room, or"
            " name a folder on another disk"
        )
