"""`ro32-score`: label every paper of a dump."""

import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from ro32.cli.bundles import bundle_files, bundle_folder
from ro32.cli.config_file import CONFIG, mistyped_variables
from ro32.cli.engines import EngineName, make_engine
from ro32.cli.log import Log, LogFormat, LoggedCommand
from ro32.cli.options import ENVIRONMENT_PREFIX, OPTIONS
from ro32.cli.parameters import HELP
from ro32.cli.pipes import DASH, spooled
from ro32.cli.process import run
from ro32.cli.progress import ProgressDisplay
from ro32.cli.reporting import Reports
from ro32.cli.version import version_option
from ro32.cli.words import explanations_json, explanations_text, quality_line, status_text, summary_line
from ro32.data.papers import Columns
from ro32.errors import UsageError
from ro32.evaluation.explain import explain_papers
from ro32.folder.update import score_folder
from ro32.model.classifier import Classifier
from ro32.model.operating_point import OperatingPoint
from ro32.model.processor import available_cores
from ro32.monitor.quality import measure_quality
from ro32.monitor.status import dry_run, dry_run_folder
from ro32.run.inputs import find_inputs
from ro32.run.job import OnError, Settings
from ro32.run.journal import Journal
from ro32.run.plan import make_plan
from ro32.run.walk import score_file
from ro32.storage.client import StoreSettings
from ro32.storage.urls import place, redact

NAME = "ro32-score"
CONTEXT = HELP | {"auto_envvar_prefix": ENVIRONMENT_PREFIX}


@click.command(name=NAME, cls=LoggedCommand, context_settings=CONTEXT, params=[*OPTIONS])
@version_option
@click.pass_context
def command(
    context: click.Context,
    *,
    papers: tuple[str, ...],
    output: str,
    prune: bool,
    bundle: Path | None,
    full: bool,
    cascade: str | None,
    strict_cascade: bool,
    threshold: float | None,
    target_precision: float | None,
    target_recall: float | None,
    abstain: str | None,
    id_column: str,
    title_column: str,
    abstract_column: str,
    categories_column: str | None,
    threads: int | None,
    engine: str,
    ray_address: str | None,
    ray_actors: str | None,
    part_rows: int,
    reuse: str | None,
    no_reuse: bool,
    max_unscored: float,
    max_drift: float,
    max_expansion: float,
    on_error: str,
    endpoint_url: str | None,
    allow_http: bool,
    report: Path | None,
    metrics_file: Path | None,
    log_format: str,
    quiet: bool,
    status: bool,
    explain: int | None,
    as_json: bool,
) -> None:
    """Classify every paper: does it belong in cs.RO, and with what probability?

    PAPERS are files with the columns id, title and abstract: Parquet, JSON lines or CSV, compressed or not, recognized
    by content. A folder means all files in it, a quoted pattern means all files that match it, and - means stdin.
    With ro32[cloud], PAPERS may be objects in a store: s3://bucket/key, gs:// or az://. The labels file has one row
    per paper, in the same order, and appears only when it is complete. Later runs score only papers with new or
    changed text, and a killed run is resumed.

    Example: ro32-score papers.parquet -o labels.parquet
    """
    journal = Journal()
    log = Log(NAME, journal.run_id, LogFormat(log_format), quiet=quiet)
    journal.on_warning = log.warn
    into_folder = output.endswith(os.sep)
    with log.errors(), log.retries(), spooled(papers, output) as (files, target, journal.spool):
        reports = Reports(target=target, report=report, metrics_file=metrics_file)
        earlier = None if reuse is None else place(reuse)
        for sentence in mistyped_variables(context):
            journal.warn("unknown_variable", sentence)
        settings = Settings(
            threads=threads or (available_cores() if engine == EngineName.LOCAL else 1),
            part_rows=part_rows,
            columns=Columns(id=id_column, title=title_column, abstract=abstract_column),
            categories_column=categories_column,
            reuse=earlier,
            no_reuse=no_reuse,
            max_unscored=max_unscored,
            max_expansion=max_expansion,
            max_drift=max_drift,
            on_error=OnError(on_error),
            strict_cascade=strict_cascade,
            stores=StoreSettings(endpoint_url=endpoint_url, allow_http=allow_http),
        )
        full = full or cascade == "off"
        point = OperatingPoint(
            threshold=threshold,
            target_precision=target_precision,
            target_recall=target_recall,
            abstain=None if abstain is None else OperatingPoint.parse_band(abstain),
        )
        display = ProgressDisplay(quiet=quiet, on_line=log.on_progress)
        _refuse_misuse(output, prune=prune, status=status, explain=explain, as_json=as_json)
        if explain:
            classifier = Classifier.load(bundle_folder(bundle), point, full=full)
            plan = make_plan(
                find_inputs(files, settings.stores), settings.columns, settings.part_rows, settings.max_expansion
            )
            explained = explain_papers(classifier, plan, explain, threads=settings.threads)
            positive_label = classifier.manifest.positive_label
            click.echo(explanations_json(explained) if as_json else explanations_text(explained, positive_label))
            return
        if status:
            classifier = Classifier.load(bundle_folder(bundle), point, full=full)
            with display:
                look = dry_run_folder if into_folder else dry_run
                found = look(
                    files, target, classifier=classifier, settings=settings, journal=journal, on_progress=display.update
                )
            click.echo(json.dumps(asdict(found), indent=2) if as_json else status_text(found, redact(output)))
            return
        reports.check(files, [earlier, context.meta.get(CONFIG), *bundle_files(bundle)])
        with reports.written(journal), display:
            classifier = Classifier.load(bundle_folder(bundle), point, full=full)
            scorer = make_engine(
                EngineName(engine), bundle_folder(bundle), ray_address=ray_address, ray_actors=ray_actors
            )
            label = partial(score_folder, prune=prune) if into_folder else score_file
            summary = label(
                files,
                target,
                classifier=classifier,
                settings=settings,
                engine=scorer,
                journal=journal,
                on_progress=display.update,
            )
            measure_quality(journal)
        positive_label = classifier.manifest.positive_label
        line = summary_line(summary, journal.done, redact(output), positive_label, classifier.decision)
        log.info("summary", line, **asdict(summary))
        if journal.quality is not None:
            log.info("quality", quality_line(journal.quality), **journal.quality)


def _refuse_misuse(output: str, *, prune: bool, status: bool, explain: int | None, as_json: bool) -> None:
    """Refuse options that do not go together."""
    if prune and not output.endswith(os.sep):
        raise UsageError("--prune removes labels from a folder; name one with -o, and / at its end")
    if as_json and not (status or explain):
        raise UsageError("--json needs --status or --explain; for the results of a run use --report FILE")
    if status and explain:
        raise UsageError("--status and --explain cannot be combined; give one of them")
    if status and output == DASH:
        raise UsageError("--status needs a labels file; name one with -o")


main = partial(run, command)

if __name__ == "__main__":
    main()
