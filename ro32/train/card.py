"""The model card, README.md of the checkpoint: the original's sections, filled in from the run's record of itself."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from numpy.typing import NDArray

from ro32.markdown import render
from ro32.model.text_form import TextForm
from ro32.train.choose import PaperSet
from ro32.train.config import Keep, Recipe, Split
from ro32.train.corpus import Corpus
from ro32.train.loop import steps_per_epoch
from ro32.train.split import select

CARD_METRICS = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "average_precision": "Average precision",
}
MEASURES = {Keep.AVERAGE_PRECISION: "AP", Keep.F1: "F1", Keep.LOSS: "validation loss"}


def write_card(record: dict[str, Any], *, name: str, license_id: str | None) -> str:
    """Compose the card, Markdown with a YAML header, from the content of training.json.

    The licence is that of the base model, under which a model made from it is published too.
    """
    best = record["results"][record["best_result"] - 1]
    recipe = record["recipe"]
    published = record["model"]["base_model"]
    data = ModelCardData(
        license=license_id,
        base_model=published,
        pipeline_tag="text-classification",
        tags=["arxiv", "text-classification"],
        datasets=["arxiv"],
        metrics=list(CARD_METRICS),
        model_name=name,
        eval_results=eval_results(recipe["category"], best),
    )
    text = render(
        "ro32.train",
        "card.md",
        record=record,
        name=name,
        base=published or recipe["base"],
        best=best,
        metrics=CARD_METRICS,
        measure=MEASURES[recipe["keep"]],
        text=TextForm(recipe["text_form"]).description,
        more=_more(recipe),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


def eval_results(category: str, measures: Mapping[str, float]) -> list[EvalResult]:
    """Return the results for a card's header: those of `CARD_METRICS` that were measured."""
    return [
        EvalResult(
            task_type="text-classification",
            task_name="Text Classification",
            dataset_type="arxiv",
            dataset_name="arxiv",
            dataset_config=category,
            dataset_split="validation",
            metric_type=metric,
            metric_name=head,
            metric_value=measures[metric],
        )
        for metric, head in CARD_METRICS.items()
        if metric in measures
    ]


def _more(recipe: dict[str, Any]) -> list[str]:
    """List the settings of a recipe that the original does not have, one per line."""
    said = {
        "head_learning_rate": "head_learning_rate: {:g}",
        "positive_repeats": "each positive paper {} times an epoch",
        "distillation": "targets: {:.0%} a linear model's probability, fitted on other papers, the rest the label",
        "auxiliary_weight": "second task of weight {:g}, while training only: to name all categories of a paper",
        "dropout": "dropout of hidden states: {:g}",
        "attention_dropout": "dropout of attention weights: {:g}",
    }
    plain = asdict(Recipe())
    return [text.format(recipe[name]) for name, text in said.items() if recipe[name] != plain[name]]


def describe_split(recipe: Recipe, corpora: list[Corpus], indices: list[NDArray[np.int64]]) -> str:
    """Describe the selected papers and their split."""
    selected = [len(select(corpus, recipe)) for corpus in corpora]
    known = sum(int(np.sum(~corpus.negative)) for corpus in corpora)
    taken = f"Papers from {recipe.from_year} on: {sum(selected):,} of {known:,}. " if recipe.from_year else ""
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
            "shown": len(np.unique(training.index)),
        },
        "validation": {**measured, "measured": len(validation)},
    }
