"""The content of training.json, and of log and card."""

import platform
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ro32.model.processor import installed_versions
from ro32.train.choose import PaperSet
from ro32.train.config import Recipe, Split
from ro32.train.corpus import Corpus
from ro32.train.device import Device
from ro32.train.loop import steps_per_epoch
from ro32.train.split import select

VERSIONS = ("transformers", "torch", "torch_xla", "tokenizers", "polars", "scikit-learn", "huggingface-hub", "ro32")


def arithmetic(device: Device) -> str:
    """Name the numbers that a device multiplies."""
    return "bfloat16" if device.bfloat16 else "float32"


def describe_split(recipe: Recipe, corpora: list[Corpus], indices: list[NDArray[np.int64]]) -> str:
    """Describe the selected papers and their split."""
    selected = [len(select(corpus, recipe)) for corpus in corpora]
    known = sum(int(np.sum(~corpus.negative)) for corpus in corpora)
    taken = "" if recipe.from_year is None else f"Papers from {recipe.from_year} on: {sum(selected):,} of {known:,}. "
    counts = f"{len(indices[0]):,} papers for training, {len(indices[1]):,} for validation"
    if len(corpora) > 1:
        return f"{taken}Training and validation papers come from two files: {counts}."
    rest = selected[0] - sum(map(len, indices))
    shares = (recipe.train_share, recipe.validation_share, 1 - recipe.train_share - recipe.validation_share)
    kind = "stratified by first category" if recipe.split is Split.STRATIFIED else "by a hash of the id"
    seed = recipe.seed if recipe.split_seed is None else recipe.split_seed
    divided = "/".join(f"{share * 100:.3g}" for share in shares)
    return f"{taken}Split {divided} {kind}, seed {seed}: {counts}, {rest:,} left out."


def describe_steps(recipe: Recipe, training: PaperSet) -> str:
    """Describe the number of steps and the lengths of their papers."""
    padded = (
        f"each padded to {recipe.max_length} tokens" if recipe.full_length else f"at most {recipe.max_length} tokens"
    )
    steps = steps_per_epoch(training, recipe)
    return f"{recipe.epochs} epochs of {steps:,} steps, {recipe.batch_size} papers a step, {padded}"


def describe_data(
    corpora: list[Corpus], sides: list[PaperSet], training: PaperSet, validation: PaperSet
) -> dict[str, Any]:
    """Count the papers of both sides, and those of them that are shown and measured."""
    whole, measured = sides
    return {
        "duplicates": sum(corpus.duplicates for corpus in corpora),
        "empty": sum(corpus.empty for corpus in corpora),
        "training": {
            **_count(whole),
            "whatever": int(whole.corpus.negative.sum()),
            "shown": len(training),
            "shown_positives": int(training.positive.sum()),
        },
        "validation": _count(measured) | {"measured": len(validation)},
    }


def _count(papers: PaperSet) -> dict[str, Any]:
    return {"papers": len(papers), "positives": int(papers.positive.sum()), "digest": papers.corpus.digest}


def describe_model(model: PreTrainedModel) -> dict[str, Any]:
    """Return the model's type and size."""
    config = model.config
    return {
        "type": config.model_type,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "parameters": model.num_parameters(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of what trains."""
    return {"python": platform.python_version(), **installed_versions(VERSIONS)}
