"""A whole training run: checks, data, training, publication."""

import json
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from torch import nn
from transformers import PreTrainedModel

from ro32.errors import OutputError
from ro32.model.metrics import precision_recall
from ro32.storage import durable
from ro32.train.card import write_card
from ro32.train.choose import PaperSet, choose_auxiliary, choose_training, choose_validation, split, take
from ro32.train.config import Recipe
from ro32.train.corpus import Corpus, load_corpus
from ro32.train.device import Device, DType, Kind
from ro32.train.dump import Dump
from ro32.train.encoder import Encoder
from ro32.train.hardware import open_device
from ro32.train.loop import Loop, Task
from ro32.train.plots import CURVE, LOSS, plot_curve, plot_loss
from ro32.train.state import FOLDER, Progress, RunFolder, check_output
from ro32.train.watch import METRICS, Watch

RECORD = "training.json"
CORPUS_LENGTH = 512
"""Tokens that a corpus holds of a paper, so that recipes of other lengths find it in the cache. 0.45 % have more."""
BYTES_PER_CACHED_ROW = 600
VERSIONS = ("transformers", "torch", "torch_xla", "tokenizers", "polars", "scikit-learn", "huggingface-hub", "ro32")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where a run reads, writes and computes: nothing of it is part of what is learned, but `data` and `limit`.

    Attributes:
        data: Dump to learn from.
        validation: Dump to validate on; without it, `data` is split.
        output: Folder of the run, in the end the checkpoint.
        cache: Folder of tokenized dumps.
        limit: Take about so many papers of `data`, and the same share of `validation`.
        device: See `Kind`.
        dtype: See `DType`.
        save_every: Steps between snapshots.
        resume: Go on with the run that `output` holds.
        command: The command line, for the card.
    """

    data: Path
    validation: Path | None
    output: Path
    cache: Path
    limit: int | None
    device: Kind
    dtype: DType
    save_every: int
    resume: bool
    command: str


def run(options: Options, recipe: Recipe, watch: Watch) -> None:
    """Train and publish a checkpoint.

    Raises:
        Ro32Error: See its branches; input, base model, output and disk are checked before any training.
    """
    transformers.logging.set_verbosity_error()  # that the head is new is no news

    # ---- checks ----
    check_output(options.output)
    dumps = [Dump.open(path) for path in (options.data, options.validation) if path is not None]
    encoder = Encoder(
        recipe.base, max_length=max(recipe.max_length, recipe.scoring_length or 0)
    )  # after the dumps: a hub may let one wait
    device = open_device(options.device, options.dtype)
    watch.say(f"training on {device.name}, {_arithmetic(device)}")

    # ---- data ----
    _need_disk(options.cache, sum(dump.rows for dump in dumps) * BYTES_PER_CACHED_ROW, "the tokenized dump")
    corpora = [_load(dump, encoder, options, recipe, watch, share=_share(options, dumps[0])) for dump in dumps]
    everything = take(corpora[0], np.arange(len(corpora[0])), recipe.category)
    if len(corpora) == 1:
        sides = [take(corpora[0], index, recipe.category) for index in split(corpora[0], recipe)]
    else:
        sides = [everything, take(corpora[1], np.arange(len(corpora[1])), recipe.category)]
    watch.say("choosing papers")
    training = choose_training(sides[0], recipe)
    validation = choose_validation(sides[1], sides[0], recipe)
    watch.say(
        f"training on {len(training):,} papers, {int(training.positive.sum()):,} of them {recipe.category};"
        f" validating on {len(validation):,}"
    )

    # ---- training ----
    auxiliary = choose_auxiliary(training, recipe)
    model = encoder.build(recipe, auxiliary)
    _need_disk(options.output, 12 * 4 * model.num_parameters(), "the run's snapshots")
    folder = RunFolder(options.output, _identity(recipe, options, dumps), resume=options.resume)
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
        "data": _describe_data(recipe, corpora, sides, training, validation),
        "model": _describe_model(model) | {"base_model": encoder.base_model()},
        "auxiliary": list(auxiliary),
        "device": device.name,
        "arithmetic": _arithmetic(device),
        "versions": _versions(),
        "seconds": progress.seconds,
        "best_result": progress.best_result,
        "results": progress.results,
    }
    publish(encoder, recipe, folder, progress, record)
    watch.say(f"{options.output}: complete; the card is in README.md")


def publish(encoder: Encoder, recipe: Recipe, folder: RunFolder, progress: Progress, record: dict[str, Any]) -> None:
    """Make the run's folder a checkpoint: best weights, tokenizer, pictures, card, and last the record."""
    output = folder.output
    best = folder.load_best(result=progress.best_result)
    weights = {name.removeprefix("weights."): best[name] for name in best if name.startswith("weights.")}
    model = encoder.build_published(recipe, weights)
    staged = output / FOLDER / "publishing"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    model.save_pretrained(staged, safe_serialization=True)
    encoder.write_tokenizer(staged, max_length=recipe.scoring_length or recipe.max_length)
    lines = (output / METRICS).read_text().splitlines()
    plot_loss([json.loads(line) for line in lines], staged / LOSS)
    curve = precision_recall(best["positive"].numpy(), best["scores"].numpy(), best["weights_of_papers"].numpy())
    plot_curve(curve, progress.results[progress.best_result - 1]["best_threshold"], staged / CURVE)
    card = write_card(record, name=output.resolve().name, license_id=encoder.license_id())
    (staged / "README.md").write_text(card, encoding="utf-8")
    for path in sorted(staged.iterdir()):
        path.replace(output / path.name)
    durable.sync_folder(output)
    durable.write(output / RECORD, (json.dumps(record, indent=1) + "\n").encode())
    folder.finish()


def _share(options: Options, dump: Dump) -> float:
    return 1.0 if options.limit is None else min(1.0, options.limit / max(dump.rows, 1))


def _load(dump: Dump, encoder: Encoder, options: Options, recipe: Recipe, watch: Watch, *, share: float) -> Corpus:
    watch.begin(f"reading {dump.path.name}", dump.rows)
    corpus = load_corpus(
        dump,
        tokenizer_json=encoder.tokenizer_json,
        max_length=max(CORPUS_LENGTH, recipe.max_length),
        cache=options.cache,
        share=share,
        on_rows=watch.advance,
    )
    watch.end()
    return corpus


def _identity(recipe: Recipe, options: Options, dumps: list[Dump]) -> dict[str, Any]:
    return {**asdict(recipe), "data": [dump.digest for dump in dumps], "limit": options.limit}


def _need_disk(folder: Path, needed: int, what: str) -> None:
    existing = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise OutputError(
            f"{folder}: {what} will need about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; make room, or"
            " name a folder on another disk"
        )


def _arithmetic(device: Device) -> str:
    return "bfloat16" if device.bfloat16 else "float32"


def _describe_data(
    recipe: Recipe, corpora: list[Corpus], sides: list[PaperSet], training: PaperSet, validation: PaperSet
) -> dict[str, Any]:
    whole, measured = sides
    how = (
        "Training and validation papers come from two files."
        if len(corpora) > 1
        else f"Split by a hash of id and seed: {recipe.train_share:.0%} for training, {recipe.validation_share:.0%} for"
        " validation, the rest left out."
    )
    return {
        "split": how,
        "duplicates": sum(corpus.duplicates for corpus in corpora),
        "empty": sum(corpus.empty for corpus in corpora),
        "training": _count(whole) | {"shown": len(training), "shown_positives": int(training.positive.sum())},
        "validation": _count(measured) | {"measured": len(validation)},
    }


def _count(papers: PaperSet) -> dict[str, Any]:
    return {"papers": len(papers), "positives": int(papers.positive.sum()), "digest": papers.corpus.digest}


def _describe_model(model: PreTrainedModel) -> dict[str, Any]:
    config = model.config
    return {
        "type": config.model_type,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "parameters": model.num_parameters(),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
