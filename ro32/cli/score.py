"""`ro32-score`: label every paper of a Parquet dump."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NoReturn

import click

from ro32.classifier import Classifier
from ro32.cli.config import mistyped_variables
from ro32.cli.log import Log, LogFormat
from ro32.cli.options import ENVIRONMENT_PREFIX, score_options
from ro32.cli.process import run
from ro32.cli.progress import ProgressDisplay
from ro32.cli.reporting import Reports
from ro32.cli.tuning import tune, with_remembered_threads
from ro32.cli.words import status_text, summary_line
from ro32.errors import UsageError
from ro32.job import OnError, Settings
from ro32.journal import Journal
from ro32.papers import Columns
from ro32.processor import available_cores
from ro32.providers import Provider, check_provider
from ro32.score import Progress, score_file
from ro32.status import survey
from ro32.views import ViewName

NAME = "ro32-score"
CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "auto_envvar_prefix": ENVIRONMENT_PREFIX,
}


@click.command(name=NAME, context_settings=CONTEXT)
@score_options
@click.pass_context
def command(
    context: click.Context,
    *,
    papers: tuple[str, ...],
    output: Path,
    bundle: Path | None,
    encoder_only: bool,
    id_column: str,
    title_column: str,
    abstract_column: str,
    threads: int | None,
    provider: str,
    part_rows: int,
    reuse: Path | None,
    no_reuse: bool,
    max_unscored: float,
    max_drift: float,
    max_expansion: float,
    on_error: str,
    report: Path | None,
    metrics_file: Path | None,
    log_format: str,
    quiet: bool,
    status: bool,
    autotune: bool,
    as_json: bool,
) -> None:
    """Tell for every paper whether it belongs in cs.RO, and how sure that is.

    PAPERS are Parquet files with the columns id, title and abstract; a folder or a quoted pattern stands
    for the files in it. The labels file has one row per paper, in the same order, and appears only when it
    is complete. Labels that are there already are used again for every paper whose text has not changed, and
    a run that was killed goes on where it was.

    Example: ro32-score papers.parquet -o labels.parquet
    """
    journal = Journal()
    log = Log(NAME, journal.run_id, LogFormat(log_format), quiet=quiet)
    journal.on_warning = log.warn
    reports = Reports(target=output, report=report, metrics_file=metrics_file)
    with log.errors():
        for sentence in mistyped_variables(context):
            journal.warn("unknown_variable", sentence)
        check_provider(Provider(provider))
        settings = Settings(
            threads=threads or available_cores(),
            part_rows=part_rows,
            columns=Columns(id=id_column, title=title_column, abstract=abstract_column),
            reuse=reuse,
            no_reuse=no_reuse,
            max_unscored=max_unscored,
            max_expansion=max_expansion,
            max_drift=max_drift,
            on_error=OnError(on_error),
        )
        view = ViewName.ENCODER if encoder_only else None
        display = ProgressDisplay(quiet=quiet, on_line=log.on_progress)

        def on_progress(progress: Progress) -> None:
            display.update(**asdict(progress))

        if as_json and not status:
            raise UsageError("--json prints what --status finds out; give both, or --report FILE")
        if status and autotune:
            raise UsageError("--status and --autotune are asked of one call each; give one of them")
        if autotune:
            tune(papers, Classifier.load(bundle, view), settings, partial(log.info, "autotune"))
            return
        if status:
            classifier = Classifier.load(bundle, view)
            settings = with_remembered_threads(settings, classifier, threads)
            with display:
                found = survey(
                    papers, output, classifier=classifier, settings=settings, journal=journal, on_progress=on_progress
                )
            click.echo(json.dumps(asdict(found), indent=2) if as_json else status_text(found, output))
            return
        reports.check(papers, [reuse])
        with reports.written(journal), display:
            classifier = Classifier.load(bundle, view)
            settings = with_remembered_threads(settings, classifier, threads)
            summary = score_file(
                papers, output, classifier=classifier, settings=settings, journal=journal, on_progress=on_progress
            )
        line = summary_line(summary, output, classifier.manifest.positive_label)
        log.info("summary", line, **asdict(summary))


def main() -> NoReturn:
    """Run the command."""
    run(command)


if __name__ == "__main__":
    main()
