"""`ro32-eval`: measure labels or models against the categories that the dump carries."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click

from ro32.cli.bundles import bundle_files, bundle_folder
from ro32.cli.parameters import HELP, PATH, Count, Number, quiet_option, threads_option
from ro32.cli.process import message, run
from ro32.cli.progress import ProgressDisplay
from ro32.cli.target import check_target, write_target
from ro32.cli.version import version_option
from ro32.data.papers import Columns
from ro32.errors import BundleError, UsageError
from ro32.evaluation import table
from ro32.evaluation.document import document
from ro32.evaluation.page.render import page
from ro32.evaluation.results import EXAMPLES, evaluate_models, explain_disagreements, read_shown
from ro32.evaluation.scores import Scores, check_labels, read_scores, score_with_bundle
from ro32.evaluation.slices import Dimension
from ro32.evaluation.truth import TruthColumns, check_listed, read_truth
from ro32.model.classifier import Classifier
from ro32.model.installed import default_store, list_bundles
from ro32.model.processor import available_cores
from ro32.run.inputs import find_files
from ro32.storage.files import unchanged

_SHIPPED = "ro32"
"""Source of the bundle that comes with the package."""
_CATEGORY = "cs.RO"
"""What a checkpoint is measured by, as it does not say what its label means."""


@click.command(name="ro32-eval", context_settings=HELP)
@click.argument("inputs", nargs=-1, required=True, metavar="PAPERS...")
@click.option(
    "--labels",
    multiple=True,
    metavar="FILE",
    type=PATH,
    help="Labels that ro32-score wrote for these papers. Repeatable.",
)
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    metavar="BUNDLE",
    type=PATH,
    help="Bundle to score the papers with: a folder or a name. Repeatable.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="FOLDER",
    type=PATH,
    help="PyTorch checkpoint to score the papers with; needs ro32[train]. Repeatable.",
)
@click.option(
    "--threshold",
    metavar="SCORE",
    type=Number(0, 1, min_open=True),
    help="Minimum score of a positive paper.  [default: each model's own; 0.5 for checkpoints]",
)
@click.option(
    "--category",
    metavar="NAME",
    help="Category that counts as positive.  [default: the label of the first model; cs.RO for checkpoints]",
)
@click.option(
    "--by",
    "dimensions",
    multiple=True,
    type=click.Choice([str(dimension) for dimension in Dimension]),
    help="Also print a table by these groups of papers. Repeatable.",
)
@click.option(
    "--html", metavar="FILE", type=PATH, help="Also write a page for the browser: one file that needs no network."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--examples",
    metavar="N",
    type=Count(min=0),
    default=EXAMPLES,
    help="Number of disagreements of each kind to list in the page and the JSON.",
)
@click.option(
    "--explain",
    "explained",
    metavar="N",
    type=Count(min=1),
    help="Also show which words moved the scores of the N most confident disagreements of each kind; needs the bundle "
    "that scored.",
)
@click.option("--id-column", metavar="NAME", default="id", help="Column of the papers' ids.")
@click.option(
    "--categories-column",
    metavar="NAME",
    default="categories",
    help="Column of the categories: lists, or text separated by spaces, commas or semicolons.",
)
@click.option("--title-column", metavar="NAME", default="title", help="Column of the titles.")
@click.option("--abstract-column", metavar="NAME", default="abstract", help="Column of the abstracts.")
@threads_option
@quiet_option
@version_option
def command(
    *,
    inputs: tuple[str, ...],
    labels: tuple[Path, ...],
    bundles: tuple[Path, ...],
    checkpoints: tuple[Path, ...],
    threshold: float | None,
    category: str | None,
    dimensions: tuple[str, ...],
    html: Path | None,
    as_json: bool,
    examples: int,
    explained: int | None,
    id_column: str,
    categories_column: str,
    title_column: str,
    abstract_column: str,
    threads: int | None,
    quiet: bool,
) -> None:
    """Measure labels or models against the categories of the papers.

    PAPERS are files with the columns id and categories, and title and abstract if a model is to score them.
    Without --labels, --bundle and --checkpoint, the model that comes with ro32 is measured. Several models are
    compared with the first. All figures have 95 % intervals.

    Example: ro32-eval papers.parquet --labels labels.parquet --html report.html
    """
    files = find_files(inputs, lambda _, text: click.echo(message(f"ro32-eval: warning: {text}"), err=True))
    folders: Sequence[Path | None] = bundles if bundles or labels or checkpoints else [None]
    if html is not None:
        models = [path for folder in (*folders, *checkpoints) for path in bundle_files(folder)]
        check_target(html, [*files, *labels, *models], inputs)
    elif explained and not as_json:
        raise UsageError("--explain needs --html FILE or --json, since the table shows no single papers")
    columns = TruthColumns(id=id_column, categories=categories_column, title=title_column, abstract=abstract_column)
    text_columns = Columns(id=id_column, title=title_column, abstract=abstract_column)
    threads = threads or available_cores()
    # Missing files are reported before millions of papers are read.
    classifiers = [Classifier.load(bundle_folder(folder)) for folder in folders]
    known = [check_labels(path) for path in labels] + [item.manifest.positive_label for item in classifiers]
    category = category or next(filter(None, known), _CATEGORY)
    names = [str(file) for file in files]  # a file that joins a folder meanwhile is left out
    with unchanged(files):
        truth = read_truth(names, category, columns)
        check_listed(truth, category, inputs)
        scores = [read_scores(path, truth) for path in labels]
        makers = [_maker_of(item) if explained else None for item in scores]
        explaining = [*makers, *classifiers, *(None for _ in checkpoints)]
        if explained and not any(explaining):
            raise UsageError(
                "--explain scores papers again, but the bundle that made these labels is not installed; "
                "install it, or name one with --bundle"
            )
        scorers = [
            partial(score_with_bundle, names, model, str(folder or _SHIPPED), columns=text_columns, threads=threads)
            for folder, model in zip(folders, classifiers, strict=True)
        ]
        scorers += [_checkpoint_scorer(names, folder, text_columns, category) for folder in checkpoints]
        for scorer in scorers:
            with ProgressDisplay(quiet=quiet) as display:
                scores.append(scorer(on_progress=display.update))
        if threshold is not None:
            scores = [replace(item, threshold=threshold) for item in scores]
        results = evaluate_models(inputs, category, truth, scores, examples=examples)
        if html is not None or as_json:
            results = replace(results, details=read_shown(results, names, columns))
    if explained:
        words = explain_disagreements(results, explaining, explained, threads=threads)
        results = replace(results, explanations=words)
    if html is not None:
        write_target(html, page(results).encode(errors="backslashreplace"))  # a path need not be UTF-8
    if as_json:
        click.echo(json.dumps(document(results), indent=2, allow_nan=False))
        return
    tables = [table.overall(results), table.compared(results)]
    tables += [table.by(results, Dimension(dimension)) for dimension in dimensions]
    click.echo("\n\n".join(filter(None, tables)))


def _maker_of(labels: Scores) -> Classifier | None:
    """Load the bundle that made labels, where it is the one that comes with ro32 or an installed one."""
    known = (item.folder for item in list_bundles(default_store())[0] if item.digest == labels.digest)
    folder = next(known, None)
    return None if folder is None else Classifier.load(folder, full=labels.full)


def _checkpoint_scorer(inputs: Sequence[str], folder: Path, columns: Columns, category: str) -> partial[Scores]:
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        raise BundleError(
            f"checkpoint {folder}: scoring it needs {' and '.join(missing)}, which a scoring host does not have; "
            "pip install 'ro32[train]', or export it and measure the bundle"
        )
    from ro32.evaluation.checkpoint_model import CheckpointModel, score_with_checkpoint  # noqa: PLC0415 - needs both

    return partial(score_with_checkpoint, inputs, CheckpointModel(folder, category), columns=columns)


main = partial(run, command)

if __name__ == "__main__":
    main()
