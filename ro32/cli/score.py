"""`ro32-score`: label every paper of a Parquet dump."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from ro32.classifier import Classifier
from ro32.cli.process import run
from ro32.cli.progress import ProgressDisplay
from ro32.job import Settings
from ro32.papers import Columns
from ro32.plan import DEFAULT_PART_ROWS
from ro32.processor import available_cores
from ro32.score import Summary, score_file
from ro32.views import ViewName


@click.command(name="ro32-score", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("inputs", nargs=-1, required=True, metavar="PAPERS...")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Labels file to write.",
)
@click.option(
    "--bundle",
    metavar="FOLDER",
    type=click.Path(path_type=Path, readable=False),
    help="Model to score with.  [default: the one that comes with ro32]",
)
@click.option(
    "--encoder-only",
    is_flag=True,
    help="Score by the encoder alone, and label by its own threshold.  [default: all views of the bundle together]",
)
@click.option("--id-column", metavar="NAME", default="id", show_default=True, help="Column of the papers' ids.")
@click.option("--title-column", metavar="NAME", default="title", show_default=True, help="Column of the titles.")
@click.option(
    "--abstract-column", metavar="NAME", default="abstract", show_default=True, help="Column of the abstracts."
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    help="Threads that score.  [default: one per core available to this process]",
)
@click.option(
    "--part-rows",
    metavar="N",
    type=click.IntRange(min=1),
    default=DEFAULT_PART_ROWS,
    show_default=True,
    help="Papers held in memory at once. No score depends on it.",
)
@click.option(
    "--reuse",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Earlier labels: papers whose text is in them are not scored again.  [default: those in FILE of -o]",
)
@click.option("--no-reuse", is_flag=True, help="Score every paper, whatever earlier labels hold.")
@click.option(
    "--max-unscored",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Publish nothing when more than this share of the papers has no text to score.",
)
@click.option("-q", "--quiet", is_flag=True, help="Write nothing to stderr but errors.")
@click.version_option(package_name="ro32", prog_name="ro32")
def command(
    *,
    inputs: tuple[str, ...],
    output: Path,
    bundle: Path | None,
    encoder_only: bool,
    id_column: str,
    title_column: str,
    abstract_column: str,
    threads: int | None,
    part_rows: int,
    reuse: Path | None,
    no_reuse: bool,
    max_unscored: float,
    quiet: bool,
) -> None:
    """Tell for every paper whether it belongs in cs.RO, and how sure that is.

    PAPERS are Parquet files with the columns id, title and abstract; a folder or a quoted pattern stands
    for the files in it. The labels file has one row per paper, in the same order, and appears only when it
    is complete. Labels that are there already are used again for every paper whose text has not changed, and
    a run that was killed goes on where it was.

    Example: ro32-score papers.parquet -o labels.parquet
    """
    settings = Settings(
        threads=threads or available_cores(),
        part_rows=part_rows,
        columns=Columns(id=id_column, title=title_column, abstract=abstract_column),
        reuse=reuse,
        no_reuse=no_reuse,
        max_unscored=max_unscored,
    )
    classifier = Classifier.load(bundle, ViewName.ENCODER if encoder_only else None)
    with ProgressDisplay(quiet=quiet) as display:
        summary = score_file(
            inputs,
            output,
            classifier=classifier,
            settings=settings,
            on_progress=lambda progress: display.update(**asdict(progress)),
        )
    if summary.not_reused is not None:
        click.echo(f"{command.name}: warning: {summary.not_reused}", err=True)
    if not quiet:
        click.echo(_one_line(summary, output, classifier.manifest.positive_label), err=True)


def _one_line(summary: Summary, output: Path, positive_label: str) -> str:
    counts = summary.counts
    origins = {"scored": counts.scored, "reused": counts.reused, "duplicates": counts.duplicates}
    return (
        f"{output}: {counts.rows:,} papers{_listed(origins)}, {counts.positives:,} {positive_label}, "
        f"{sum(counts.unscored.values()):,} unscored{_listed(counts.unscored)}; "
        f"{counts.rows / summary.seconds:,.1f} papers/s, {counts.tokens / summary.seconds:,.0f} tokens/s, "
        f"{summary.seconds:,.1f} s"
    )


def _listed(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f" ({listed})" if listed else ""


def main() -> NoReturn:
    """Run the command."""
    run(command)


if __name__ == "__main__":
    main()
