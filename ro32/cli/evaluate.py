"""`ro32-eval`: measure labels or bundles against the categories that the dump carries."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from ro32.classifier import Classifier
from ro32.cli.process import run
from ro32.evaluate import Evaluation, evaluate_bundle, evaluate_labels, read_truth
from ro32.papers import Columns
from ro32.processor import available_cores


@click.command(name="ro32-eval", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("inputs", nargs=-1, required=True, metavar="PAPERS...")
@click.option(
    "--labels",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Labels that ro32-score wrote for these papers. Can be given several times.",
)
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Bundle to score the papers with. Can be given several times.",
)
@click.option(
    "--category", metavar="NAME", default="cs.RO", show_default=True, help="Category that counts as positive."
)
@click.option("--id-column", metavar="NAME", default="id", show_default=True, help="Column of the papers' ids.")
@click.option(
    "--categories-column",
    metavar="NAME",
    default="categories",
    show_default=True,
    help="Column of the categories, separated by spaces.",
)
@click.option("--threads", metavar="N", type=click.IntRange(min=1), help="Threads that score.  [default: one per core]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.version_option(package_name="ro32", prog_name="ro32")
def command(
    *,
    inputs: tuple[str, ...],
    labels: tuple[Path, ...],
    bundles: tuple[Path, ...],
    category: str,
    id_column: str,
    categories_column: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure labels or models against the categories that the papers themselves carry.

    PAPERS are Parquet files with the columns id and categories. Without --labels and --bundle, the model that
    comes with ro32 is measured.

    Example: ro32-eval papers.parquet --labels labels.parquet
    """
    truth = read_truth(inputs, category, id_column=id_column, categories_column=categories_column)
    evaluations = [evaluate_labels(truth, path) for path in labels]
    models = [Classifier.load(folder) for folder in bundles] or ([] if labels else [Classifier.load()])
    columns = Columns(id=id_column)
    evaluations += [
        evaluate_bundle(truth, inputs, classifier, columns=columns, threads=threads or available_cores())
        for classifier in models
    ]
    click.echo(json.dumps([_as_json(item) for item in evaluations], indent=2) if as_json else _table(evaluations))


def _as_json(item: Evaluation) -> dict[str, object]:
    confusion = item.confusion
    return asdict(item) | {
        "accuracy": confusion.accuracy,
        "precision": confusion.precision,
        "recall": confusion.recall,
        "f1": confusion.f1,
    }


def _table(evaluations: list[Evaluation]) -> str:
    rows = [
        ("", *(item.name for item in evaluations)),
        ("papers scored", *(f"{item.papers:,}" for item in evaluations)),
        ("listed in the category", *(f"{item.positives:,}" for item in evaluations)),
        ("unscored", *(f"{item.unscored:,}" for item in evaluations)),
        ("average precision", *(f"{item.average_precision:.4f}" for item in evaluations)),
        ("threshold", *(f"{item.threshold:.4f}" for item in evaluations)),
        ("accuracy", *(f"{item.confusion.accuracy:.4f}" for item in evaluations)),
        ("F1", *(f"{item.confusion.f1:.4f}" for item in evaluations)),
        ("precision", *(f"{item.confusion.precision:.4f}" for item in evaluations)),
        ("recall", *(f"{item.confusion.recall:.4f}" for item in evaluations)),
        ("true positives", *(f"{item.confusion.tp:,}" for item in evaluations)),
        ("false positives", *(f"{item.confusion.fp:,}" for item in evaluations)),
        ("false negatives", *(f"{item.confusion.fn:,}" for item in evaluations)),
        ("true negatives", *(f"{item.confusion.tn:,}" for item in evaluations)),
        ("best F1", *(f"{item.best_f1:.4f}" for item in evaluations)),
        ("at threshold", *(f"{item.best_threshold:.4f}" for item in evaluations)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def main() -> NoReturn:
    """Run the command."""
    run(command)


if __name__ == "__main__":
    main()
