"""A whole training run: checks, data, training, publication."""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from torch import nn

from ro32.errors import OutputError
from ro32.model.metrics import precision_recall
from ro32.model.text_form import TextForm
from ro32.storage import durable
from ro32.train.card import write_card
from ro32.train.choose import choose_auxiliary, choose_training, choose_validation, take
from ro32.train.config import Recipe
from ro32.train.corpus import Corpus, load_corpus
from ro32.train.device import DType, Kind
from ro32.train.dump import Dump
from ro32.train.encoder import Encoder
from ro32.train.hardware import open_device
from ro32.train.loop import Loop, Task, steps_per_epoch
from ro32.train.plots import CURVE, LOSS, plot_curve, plot_loss
from ro32.train.record import arithmetic, describe_data, describe_model, describe_split, describe_steps, versions
from ro32.train.split import select, split
from ro32.train.state import FOLDER, Progress, RunFolder, check_output
from ro32.train.watch import METRICS, Watch

RECORD = "training.json"
CORPUS_LENGTH = 512
"""Tokens that a corpus holds of a paper, so that recipes of other lengths find it in the cache. 0.45 % have more."""
BYTES_PER_CACHED_ROW = 600


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where a run reads, writes and computes: only `data`, `limit` and `negatives` are part of what is learned.

    Attributes:
        validation: Dump to validate on; without it, `data` is split.
        negatives: File of papers that count as negative, whatever they are; they are trained on, and validate nothing.
        output: Folder of the run, in the end the checkpoint.
        limit: Take about so many papers of `data`, and the same share of `validation`.
        save_every: Steps between snapshots.
        command: The command line, for the card.
    """

    data: Path
    validation: Path | None
    negatives: Path | None = None
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
    negatives = None if options.negatives is None else Dump.open(options.negatives, labelled=False)
    encoder = Encoder(
        recipe.base, max_length=max(recipe.max_length, recipe.scoring_length or 0)
    )  # after the dumps: a hub may let one wait
    recipe = replace(recipe, text_form=recipe.text_form or encoder.form)
    device = open_device(options.device, options.dtype)
    watch.say(f"training on {device.name}, {arithmetic(device)}")

    # ---- data ----
    all_dumps = [*dumps, *([] if negatives is None else [negatives])]
    _need_disk(options.cache, sum(dump.rows for dump in all_dumps) * BYTES_PER_CACHED_ROW, "the tokenized dump")
    share = _share(options, dumps[0])
    corpora = [
        _load(dump, encoder, options, recipe, watch, share=share, negatives=negatives if dump is dumps[0] else None)
        for dump in dumps
    ]
    indices = [select(corpus, recipe) for corpus in corpora] if len(corpora) > 1 else list(split(corpora[0], recipe))
    whatever = np.flatnonzero(corpora[0].negative)
    if len(corpora) > 1:  # what is trained on validates nothing
        known = np.isin(corpora[1].id_hashes[indices[1]], corpora[0].id_hashes[whatever])
        indices[1] = indices[1][~known]
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
    _need_disk(options.output, 12 * 4 * model.num_parameters(), "the run's snapshots")
    folder = RunFolder(options.output, _identity(recipe, options, dumps, negatives), resume=options.resume)
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
            "negatives": None if negatives is None else negatives.digest,
            **describe_data(corpora, sides, training, validation),
        },
        "model": describe_model(model) | {"base_model": encoder.base_model()},
        "auxiliary": list(auxiliary),
        "device": device.name,
        "arithmetic": arithmetic(device),
        "versions": versions(),
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


def _load(
    dump: Dump,
    encoder: Encoder,
    options: Options,
    recipe: Recipe,
    watch: Watch,
    *,
    share: float,
    negatives: Dump | None,
) -> Corpus:
    watch.begin(f"reading {dump.path.name}", dump.rows + (0 if negatives is None else negatives.rows))
    corpus = load_corpus(
        dump,
        tokenizer_json=encoder.tokenizer_json,
        max_length=max(CORPUS_LENGTH, recipe.max_length),
        cache=options.cache,
        form=recipe.text_form or TextForm.RO32,
        share=share,
        negatives=negatives,
        on_rows=watch.advance,
    )
    watch.end()
    return corpus


def _identity(recipe: Recipe, options: Options, dumps: list[Dump], negatives: Dump | None) -> dict[str, Any]:
    return {
        **asdict(recipe),
        "data": [dump.digest for dump in dumps],
        "negatives": None if negatives is None else negatives.digest,
        "limit": options.limit,
    }


def _need_disk(folder: Path, needed: int, what: str) -> None:
    existing = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise OutputError(
            f"{folder}: {what} will need about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; make room, or"
            " name a folder on another disk"
        )
