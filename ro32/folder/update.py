"""A folder as output: a labels file for each input file, and a manifest after the last.

    plan      every file, as one input; each becomes a job of its own
    keep      labels that are just what would be written again stay as they are
    score     the parts of all other files, by whatever engine
    judge     all labels together, before the first is published
    publish   file by file, each whole; then the manifest; then, on request, remove what has no input any more

Every file is on its own in what it reuses and resumes, so memory does not grow with their number.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ro32.errors import ReadWriteError, TryAgainError, few
from ro32.folder import manifest
from ro32.folder.jobs import FolderRun
from ro32.folder.manifest import Entry
from ro32.model.classifier import Classifier
from ro32.run.commit import commit, origin_of
from ro32.run.engine import Engine, Remaining, score_locally
from ro32.run.job import Job, Settings
from ro32.run.journal import Journal, Stage
from ro32.run.judge import Before, judge
from ro32.run.newest import Collector
from ro32.run.parts import PartStore
from ro32.run.reuse import outcomes_before
from ro32.run.walk import Progress, ProgressCount, Summary, as_texts, refuse_isolated, summarize
from ro32.storage.files import file_at
from ro32.storage.lock import only_run
from ro32.storage.urls import ObjectUrl, place


def score_folder(
    inputs: str | Path | Sequence[str | Path],
    folder: str | Path | ObjectUrl,
    *,
    prune: bool = False,
    classifier: Classifier | None = None,
    settings: Settings | None = None,
    engine: Engine | None = None,
    journal: Journal | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Label every paper of the input, a labels file for each input file.

    Args:
        inputs: Files, folders, glob patterns or URLs of these, as `score_file` takes them.
        folder: Where the labels files are to appear, each under the name of its input file; created if need be.
        prune: Remove labels files in it whose input is gone.
        classifier: The model; the bundle that comes with ro32 by default.
        settings: How to score.
        engine: What scores the parts; threads of this process by default.
        journal: Records what the run does, for reports; also of use when it fails.
        on_progress: Called in this thread whenever rows are done.

    Raises:
        UsageError: Two input files would have the same labels file, or nothing can be written there.
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for, too many of all rows have no text, or a sample of
            them contradicts the cascade's certificate.
        OutputError: The folder cannot be created, or holds an input file or lies in an input folder.
        ReadWriteError: The disk failed half-way.
        TryAgainError: Another run writes the same folder, or the input changed meanwhile.
        ClusterError: The engine's cluster failed, or parts killed their workers there. In the latter case the labels of
            the other files are published, and the manifest is that of the run before.
    """
    journal, engine = journal or Journal(), engine or score_locally
    run = FolderRun.prepare(
        as_texts(inputs),
        place(folder),
        classifier=classifier or Classifier.load(),
        settings=settings or Settings(),
        journal=journal,
    )
    try:
        run.folder.create()
        with only_run(run.folder.target(manifest.NAME)), run.whole.plan.changes_reported():
            _write(run, engine, journal, on_progress, prune=prune)
    except OSError as error:
        raise ReadWriteError(
            f"{folder}: writing failed: {error.strerror or error}; {run.changes.replaced:,} files were published, "
            "finished parts are kept; run again"
        ) from error
    return summarize(journal)


def _write(
    run: FolderRun, engine: Engine, journal: Journal, on_progress: Callable[[Progress], None], *, prune: bool
) -> None:
    """Bring a folder up to date."""
    whole, folder, changes = run.whole, run.folder, run.changes
    journal.enter(Stage.REUSE)
    gone = run.gone()
    before = Before.from_footers(run.footers(gone), whole.classifier)
    entries = run.standing(journal)
    _clear_parts(run, entries)
    changed = {name: job for name, job in run.jobs.items() if name not in entries}
    progress = ProgressCount(
        whole.plan,
        on_progress,
        rows_done=journal.unchanged.rows,
        parts_done=len(whole.plan.parts) - sum(len(job.plan.parts) for job in changed.values()),
    )
    work = progress.begin(_begin_all(run, changed.values(), journal))
    for counts in engine(work, journal, progress.advance):
        journal.done += counts
        progress.finish_part()
    journal.enter(Stage.COMMIT)
    whole.plan.check_unchanged()
    judge(whole, journal.counts, journal, before)
    newest = Collector(whole.classifier.manifest.positive_label, whole.plan)
    without = {part.path for part in journal.isolated}
    for name, job in changed.items():
        if str(job.plan.sources[0].path) in without:
            continue
        store = PartStore(job.target, job.fingerprint)
        commit(job, store, newest, journal, check=lambda _: None)
        changes.replaced += 1
        store.folder.clear()
        folder.notice(name)
        labels = file_at(folder.target(name))
        if labels is None:
            raise TryAgainError(f"{job.target}: somebody else removed it meanwhile; run again")
        entries[name] = Entry.of(name, labels, job.plan.rows)
    refuse_isolated(whole.target, journal)
    journal.newest = newest if newest.columns else None
    facts = origin_of(whole, journal) | {"rows": whole.plan.rows}
    manifest.write_manifest(folder, [entries[name] for name in sorted(entries)], facts)
    journal.published = True
    listed = all(warned.kind != "not_listed" for warned in journal.warnings)  # else their input may be there
    if prune and listed:
        folder.remove(gone)
        changes.removed = len(gone)
    elif gone:
        changes.gone = len(gone)
        files = "1 labels file has" if len(gone) == 1 else f"{len(gone):,} labels files have"
        advice = "--prune removes them" if listed else "they stay, since not all of the input could be listed"
        journal.warn("gone", f"{whole.target}: {files} no input file: {few(gone, 3)}; {advice}")


def _clear_parts(run: FolderRun, standing: Mapping[str, Entry]) -> None:
    """Remove the parts of labels that stand though no manifest lists them: the run that wrote them ended too early."""
    listed = manifest.read_entries(run.folder)
    for name, entry in standing.items():
        if entry != listed.get(name):
            PartStore(run.jobs[name].target, run.jobs[name].fingerprint).folder.clear()


def _begin_all(run: FolderRun, changed: Iterable[Job], journal: Journal) -> Iterator[Remaining]:
    """Begin one labels file after the other, when its turn comes."""
    earlier = None if run.whole.settings.reuse is None else outcomes_before(run.whole, journal)
    for job in changed:
        journal.enter(Stage.REUSE)
        remaining = Remaining.resume(job, outcomes_before(job, journal) if earlier is None else earlier, journal)
        remaining.store.folder.create()
        yield remaining
