"""The model card, README.md of the checkpoint: the original's sections, every one filled in from the run's record."""

from dataclasses import asdict
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ro32.markdown import render
from ro32.model.text_form import TextForm
from ro32.train.config import PUBLISHED_NAMES, Keep, Recipe

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
    base = record["model"].get("base_model") or PUBLISHED_NAMES.get(recipe["base"], recipe["base"])
    base_on_hub = "/" in base and not base.startswith(("/", "."))
    data = ModelCardData(
        license=license_id,
        base_model=base if base_on_hub else None,
        pipeline_tag="text-classification",
        tags=["arxiv", "text-classification"],
        datasets=["arxiv"],
        metrics=list(CARD_METRICS),
        model_name=name,
        eval_results=[
            EvalResult(
                task_type="text-classification",
                task_name="Text Classification",
                dataset_type="arxiv",
                dataset_name="arxiv",
                dataset_config=recipe["category"],
                dataset_split="validation",
                metric_type=metric,
                metric_name=head,
                metric_value=best[metric],
            )
            for metric, head in CARD_METRICS.items()
        ],
    )
    text = render(
        "ro32.train",
        "card.md",
        record=record,
        name=name,
        base=base,
        base_on_hub=base_on_hub,
        best=best,
        metrics=CARD_METRICS,
        measure=MEASURES[recipe["keep"]],
        text=TextForm(recipe["text_form"]).description,
        more=_more(recipe),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


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
