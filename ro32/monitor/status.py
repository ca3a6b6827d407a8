"""Dry run: a run without scoring and writing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ro32.data.part_reader import read_parts
from ro32.errors import ReadWriteError, Ro32Error, TryAgainError
from ro32.folder import manifest
from ro32.folder.jobs import FolderRun
from ro32.model.classifier import Classifier
from ro32.model.outcomes import Outcomes
from ro32.run.engine import Remaining, rows_to_score
from ro32.run.job import Job, Settings
from ro32.run.journal import Journal, SkippedFile, Stage
from ro32.run.prepare import prepare
from ro32.run.reuse import Earlier, outcomes_before
from ro32.run.walk import Progress
from ro32.storage.files import Target
from ro32.storage.lock import holder
from ro32.storage.urls import ObjectUrl

STATUS_VERSION = 2  # raised when a field changes its meaning or goes; new fields leave it as it is


@dataclass(frozen=True, kw_only=True)
class LeftOver:
    """Something that an earlier run left beside the target, and that a run that succeeds removes."""

    path: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a run would do now: the result of a dry run. docs/report.md describes every field.

    rows = finished + reused + duplicates + unreadable + to_score.
    """

    status_version: int = STATUS_VERSION
    target: str
    running: str | None
    files: int
    unchanged_files: int
    skipped: tuple[SkippedFile, ...]
    rows: int
    parts: int
    finished_parts: int
    finished: int
    reused: int
    duplicates: int
    unreadable: int
    to_score: int
    left_over: tuple[LeftOver, ...]


def dry_run(
    inputs: Sequence[str],
    target: Path | ObjectUrl,
    *,
    classifier: Classifier,
    settings: Settings,
    journal: Journal,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Status:
    """Do a dry run: find out what a run with the same arguments would do. Nothing is written, and no lock is kept.

    Every paper is read and looked up, as the run would do, so that the numbers are exact.

    Raises:
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for.
        OutputError: The target cannot be created, or is one of the input files.
        ReadWriteError: What runs left beside the target cannot be looked at.
        TryAgainError: The input changed meanwhile, or a run removed its parts.
    """
    job = prepare(inputs, target, classifier=classifier, settings=settings, journal=journal)
    try:
        with job.plan.changes_reported():
            return _look_at(job, journal, on_progress)
    except OSError as error:
        raise _beside(target, error) from error


def dry_run_folder(
    inputs: Sequence[str],
    folder: Path | ObjectUrl,
    *,
    classifier: Classifier,
    settings: Settings,
    journal: Journal,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Status:
    """Do a dry run of one that writes a labels file for each input file.

    Raises:
        Ro32Error: As `dry_run` does, or as planning such a run does.
    """
    run = FolderRun.prepare(inputs, folder, classifier=classifier, settings=settings, journal=journal)
    plan, target = run.whole.plan, run.whole.target
    try:
        journal.enter(Stage.REUSE)
        unchanged = run.standing(journal)
        earlier = None if settings.reuse is None else outcomes_before(run.whole, journal)
        rows_done = journal.unchanged.rows
        parts_done = sum(len(run.jobs[name].plan.parts) for name in unchanged)
        found = []
        for job in (job for name, job in run.jobs.items() if name not in unchanged):
            with job.plan.changes_reported():
                found.append(_look_at(job, Journal(on_warning=journal.on_warning), lambda _: None, earlier))
            rows_done, parts_done = rows_done + job.plan.rows, parts_done + len(job.plan.parts)
            on_progress(Progress(papers=plan.rows, papers_done=rows_done, parts=len(plan.parts), parts_done=parts_done))
    except OSError as error:
        raise _beside(target, error) from error
    summed = ("finished_parts", "finished", "duplicates", "to_score")
    return Status(
        target=str(target),
        running=holder(run.folder.target(manifest.NAME)),
        files=len(plan.sources),
        unchanged_files=len(unchanged),
        skipped=tuple(journal.skipped),
        rows=plan.rows,
        parts=len(plan.parts),
        reused=journal.unchanged.reused + sum(status.reused for status in found),
        unreadable=journal.unchanged.unreadable + sum(status.unreadable for status in found),
        left_over=tuple(item for status in found for item in status.left_over),
        **{name: sum(getattr(status, name) for status in found) for name in summed},
    )


def _beside(target: Path | ObjectUrl | Target, error: OSError) -> Ro32Error:
    """Return what to report if something beside or in a target vanished, or cannot be looked at."""
    if isinstance(error, FileNotFoundError):
        return TryAgainError(f"{target}: a run changed what lies there meanwhile ({error}); ask again")
    return ReadWriteError(f"{target}: what runs left there cannot be looked at ({error}); remove or repair it")


def _look_at(
    job: Job, journal: Journal, on_progress: Callable[[Progress], None], earlier: Earlier | None = None
) -> Status:
    """Look at one labels file; `earlier` is what other labels say than those that the settings name."""
    journal.enter(Stage.REUSE)
    earlier = outcomes_before(job, journal) if earlier is None else earlier
    remaining = Remaining.resume(job, earlier, journal)
    todo, previous, current = remaining.parts, remaining.earlier.outcomes, remaining.current
    plan, finished = job.plan, journal.resumed.rows
    rows, reused, unreadable, to_score = finished, 0, 0, 0
    seen = set[int]()  # a part of long texts comes in pieces
    for part, papers in read_parts(todo, plan.columns, plan.id_type, remaining.earlier.rows.find):
        seen.add(part.index)
        parts_done = len(plan.parts) - len(todo) + len(seen)
        before = previous.find(papers.hashes)[0]
        needed = rows_to_score(papers, before | current.find(papers.hashes)[0], set())
        current.add(papers.hashes[needed], Outcomes.empty(len(needed)))
        readable = papers.errors == 0
        unreadable += int(np.sum(~readable))
        reused += int(np.sum(before & readable))
        to_score, rows = to_score + len(needed), rows + len(papers)
        on_progress(Progress(papers=plan.rows, papers_done=rows, parts=len(plan.parts), parts_done=parts_done))
    plan.check_unchanged()
    return Status(
        target=str(job.target),
        running=holder(job.target),
        files=len(plan.sources),
        unchanged_files=0,
        skipped=tuple(journal.skipped),
        rows=plan.rows,
        parts=len(plan.parts),
        finished_parts=len(plan.parts) - len(todo),
        finished=finished,
        reused=reused,
        duplicates=plan.rows - finished - reused - unreadable - to_score,
        unreadable=unreadable,
        to_score=to_score,
        left_over=tuple(LeftOver(path=path, size_bytes=size) for path, size in remaining.store.folder.left_over()),
    )
