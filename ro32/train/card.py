"""The model card, README.md of the checkpoint: the original's sections, every one filled in from the run's record."""

from dataclasses import asdict
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ro32.model.text_form import TextForm
from ro32.train.config import PUBLISHED_NAMES, Keep, Recipe
from ro32.train.plots import CURVE, LOSS

CARD_METRICS = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "average_precision": "Average precision",
}
MEASURES = {Keep.AVERAGE_PRECISION: "AP", Keep.F1: "F1", Keep.LOSS: "validation loss"}
TABLE = ("training_loss", "epoch", "step", "loss", *CARD_METRICS)
TABLE_HEADS = ("Training Loss", "Epoch", "Step", "Validation Loss", "Accuracy", "F1", "Precision", "Recall", "AP")


def write_card(record: dict[str, Any], *, name: str, license_id: str | None) -> str:
    """Compose the card, Markdown with a YAML header, from the content of training.json.

    The licence is that of the base model, under which a model made from it is published too.
    """
    best = record["results"][record["best_result"] - 1]
    recipe = record["recipe"]
    base = record["model"].get("base_model") or PUBLISHED_NAMES.get(recipe["base"], recipe["base"])
    data = ModelCardData(
        license=license_id,
        base_model=base if "/" in base and not base.startswith(("/", ".")) else None,
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
    sections = (
        _summary(record, best, name, base),
        _description(record),
        _uses(record, best),
        _data(record),
        _procedure(record),
        _results(record),
        _versions(record),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"))


def _summary(record: dict[str, Any], best: dict[str, float], name: str, base: str) -> str:
    linked = f"[{base}](https://huggingface.co/{base})" if "/" in base and not base.startswith(("/", ".")) else base
    lines = "\n".join(f"- {head}: {best[metric]:.4f}" for metric, head in CARD_METRICS.items())
    return f"""# {name}

This model is a fine-tuned version of {linked} on metadata of arXiv papers. It tells whether a paper belongs in
{record["recipe"]["category"]}. On the validation papers it achieves, at a threshold of 0.5 where one is needed:

- Loss: {best["loss"]:.4f}
{lines}"""


def _description(record: dict[str, Any]) -> str:
    recipe, model = record["recipe"], record["model"]
    millions = model["parameters"] / 1e6
    text = TextForm(recipe["text_form"]).description
    return f"""## Model description

A BERT-family encoder ({model["type"]}, {model["layers"]} layers of {model["hidden_size"]}, {millions:.1f} million
parameters) with a classification head of two labels: `{recipe["category"]}` (index 1) and `other` (index 0).
Its input is one sequence with all token types 0, cut on the right to {recipe["max_length"]} tokens: {text}."""


def _uses(record: dict[str, Any], best: dict[str, float]) -> str:
    category = record["recipe"]["category"]
    return f"""## Intended uses & limitations

For finding the papers of {category} in dumps of arXiv metadata, and for ranking papers by how likely they belong
there. The highest F1 on validation, {best["best_f1"]:.4f}, is at a threshold of {best["best_threshold"]:.3f}.

- It reads titles and abstracts in English as arXiv has them; other text is outside of what it has seen.
- "Belongs" means that authors or moderators listed the paper under {category}, as primary category or otherwise. Papers
  that could have been cross-listed and were not count as negatives, so part of the false positives are arguable.
- Scores are probabilities under the mix of papers it was trained on; where few papers are positive, choose the
  threshold on papers of the kind to be scored.
- It decides about metadata, not about the quality of a paper or its authors."""


def _data(record: dict[str, Any]) -> str:
    data = record["data"]
    training, validation = data["training"], data["validation"]
    whatever = (
        ""
        if data["negatives"] is None
        else f"\n\n{training['whatever']:,} of the training papers come from another file (`{data['negatives']}`), and"
        " count\nas negative, whatever they are."
    )
    sampled = (
        f"Each epoch shows {training['shown']:,} of them: all positives, the negatives that a linear model over\n"
        "tokens and token pairs, fitted on other papers, ranks highest, and some at random."
        if training["shown"] < training["papers"]
        else "Each epoch shows all of them."
    )
    measured = (
        f"Measured on {validation['measured']:,} of them, weighted to speak for all: every positive, the negatives\n"
        "that a linear model ranks highest, and of the others each one for the many like it. Accuracy, F1,\n"
        "precision and AP are therefore estimates at the true prevalence."
        if validation["measured"] < validation["papers"]
        else "Measured on all of them."
    )
    return f"""## Training and evaluation data

Metadata of arXiv papers: id, title, abstract, categories. {data["split"]}
Left out: {data["duplicates"]:,} rows as older versions of a paper, {data["empty"]:,} papers as having no text.

| | papers | {record["recipe"]["category"]} | prevalence | BLAKE2b-128 of the file |
|---|---|---|---|---|
| training | {_counts(training)} |
| validation | {_counts(validation)} |

{sampled}{whatever}

{measured}"""


def _counts(part: dict[str, Any]) -> str:
    prevalence = part["positives"] / part["papers"]
    return f"{part['papers']:,} | {part['positives']:,} | {prevalence:.2%} | `{part['digest']}`"


def _procedure(record: dict[str, Any]) -> str:
    recipe, kept = record["recipe"], record["results"][record["best_result"] - 1]
    decay = f", weight decay {recipe['weight_decay']}" if recipe["optimizer"] == "adamw" else ""
    batches = (
        f"each padded to {recipe['max_length']} tokens" if recipe["full_length"] else "of papers of similar length"
    )
    warmup = f" after a warm-up over {recipe['warmup_share']:.0%} of the steps" if recipe["warmup_share"] else ""
    return f"""## Training procedure

    {record["command"]}

It took {record["seconds"] / 60:.0f} minutes on {record["device"]}, matrix products in {record["arithmetic"]}.

### Training hyperparameters

The following hyperparameters were used during training:

- learning_rate: {recipe["learning_rate"]:g}{_more(recipe)}
- train_batch_size: {recipe["batch_size"]}, {batches}; {record["steps_per_epoch"]:,} steps an epoch
- max_length: {recipe["max_length"]}
- seed: {recipe["seed"]}
- optimizer: {"AdamW" if recipe["optimizer"] == "adamw" else "Adam"} with betas=(0.9,0.999) and epsilon=1e-08{decay}
- gradient clipping: norm of {recipe["max_gradient_norm"]:g}
- lr_scheduler_type: linear{warmup}
- num_epochs: {recipe["epochs"]}; kept: {_name_epoch(kept)}, the best by {MEASURES[recipe["keep"]]}"""


def _results(record: dict[str, Any]) -> str:
    rows = "\n".join("| " + " | ".join(_cell(name, row) for name in TABLE) + " |" for row in record["results"])
    return f"""### Training results

| {" | ".join(TABLE_HEADS)} |
|{":---:|" * len(TABLE)}
{rows}

![training and validation loss by step]({LOSS})
![precision against recall on validation]({CURVE})"""


def _cell(name: str, row: dict[str, float]) -> str:
    if name == "epoch" and "averaged_with_epoch" in row:
        return f"mean of {row['averaged_with_epoch']} and {row['epoch']}"
    return str(int(row[name])) if name in ("epoch", "step") else f"{row[name]:.4f}"


def _name_epoch(row: dict[str, float]) -> str:
    if "averaged_with_epoch" in row:
        return f"the mean of the weights after epochs {row['averaged_with_epoch']} and {row['epoch']}"
    return f"epoch {row['epoch']}"


def _more(recipe: dict[str, Any]) -> str:
    """Say what a recipe has that the original's does not, each a line of the list."""
    said = {
        "head_learning_rate": "head_learning_rate: {:g}",
        "positive_repeats": "each positive paper {} times an epoch",
        "distillation": "targets: {:.0%} a linear model's probability, fitted on other papers, the rest the label",
        "auxiliary_weight": "second task of weight {:g}, while training only: to name all categories of a paper",
        "dropout": "dropout of hidden states: {:g}",
        "attention_dropout": "dropout of attention weights: {:g}",
    }
    plain = asdict(Recipe())
    return "".join(f"\n- {text.format(recipe[name])}" for name, text in said.items() if recipe[name] != plain[name])


def _versions(record: dict[str, Any]) -> str:
    return "### Framework versions\n\n" + "\n".join(
        f"- {name}: {version}" for name, version in record["versions"].items()
    )
