"""What training.json, log and card say of the papers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ro32.train.choose import PaperSet
from ro32.train.config import Recipe, Split
from ro32.train.corpus import Corpus
from ro32.train.loop import steps_per_epoch
from ro32.train.split import select


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
    length = f"{'each padded to' if recipe.full_length else 'at most'} {recipe.max_length} tokens"
    steps = steps_per_epoch(training, recipe)
    return f"{recipe.epochs} epochs of {steps:,} steps, {recipe.batch_size} papers a step, {length}"


def describe_data(
    corpora: list[Corpus], sides: list[PaperSet], training: PaperSet, validation: PaperSet
) -> dict[str, Any]:
    """Count the papers of both sides, and those of them that are shown and measured."""
    counts, measured = (
        {"papers": len(side), "positives": int(side.positive.sum()), "digest": side.corpus.digest} for side in sides
    )
    return {
        "duplicates": sum(corpus.duplicates for corpus in corpora),
        "empty": sum(corpus.empty for corpus in corpora),
        "training": {
            **counts,
            "whatever": int(sides[0].corpus.negative.sum()),
            "shown": len(training),
            "shown_positives": int(training.positive.sum()),
        },
        "validation": {**measured, "measured": len(validation)},
    }
