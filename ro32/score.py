"""The walk: plan parts, score each, commit."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ro32.classifier import Classifier
from ro32.commit import commit
from ro32.errors import DISK_ERRNOS, InputDataError, OutputError, ReadWriteError
from ro32.job import Job, Settings
from ro32.labels import outcomes_of
from ro32.lock import only_run
from ro32.outcomes import OutcomeIndex
from ro32.papers import Part
from ro32.parts import Counts, PartStore
from ro32.plan import Plan, find_files, make_plan
from ro32.reuse import NotReusableError, load_outcomes
from ro32.threads import Known, score_parts


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come. All counts are of papers, but for the parts."""

    papers: int
    papers_done: int
    parts: int
    parts_done: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        counts: What became of the rows.
        resumed: Rows among them that an interrupted run had done.
        seconds: Wall-clock time from reading the first footer to the commit.
        not_reused: Why no earlier labels were taken over; None where they were, or where there were none.
    """

    counts: Counts
    resumed: int
    seconds: float
    not_reused: str | None


def score_file(
    inputs: Sequence[str],
    target: Path,
    *,
    classifier: Classifier,
    settings: Settings | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Label every paper of the input.

    Args:
        inputs: Parquet files, folders or glob patterns; together they are one input, sorted by name.
        target: The labels file. It appears whole or not at all; one that is there is replaced.
        classifier: The model.
        settings: How to score.
        on_progress: Called in this thread whenever rows are done.

    Raises:
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for, or too many of its rows have no text.
        OutputError: The target cannot be created, or is one of the input files.
        ReadWriteError: The disk failed half-way.
        TryAgainError: Another run writes the same target, or the input changed meanwhile.
    """
    clock = time.monotonic()
    settings = settings or Settings()
    plan = make_plan(find_files(inputs), settings.columns, settings.part_rows)
    try:
        job = Job(
            plan=plan,
            target=_resolve_target(target, plan),
            classifier=classifier,
            settings=settings,
            started=datetime.now(UTC),
        )
        with only_run(job.target):
            previous, not_reused = _previous(job)
            store = PartStore(job.target, job.fingerprint)
            store.prepare()
            resumed = _finish_parts(job, store, previous, on_progress)
            counts = commit(job, store)
            store.clear()
    except OSError as error:  # before the commit; after it, nothing raises one
        raise ReadWriteError(
            f"{target}: writing failed: {error.strerror or error}; nothing was published, finished parts are kept"
        ) from error
    return Summary(counts=counts, resumed=resumed, seconds=time.monotonic() - clock, not_reused=not_reused)


def _previous(job: Job) -> tuple[OutcomeIndex, str | None]:
    """Load the outcomes to reuse, or none and the reason."""
    named = job.settings.reuse
    source = named or job.target
    if job.settings.no_reuse or (named is None and not source.exists()):
        return OutcomeIndex(), None
    try:
        index, _ = load_outcomes(source, job.classifier.scoring_digest)
    except NotReusableError as error:
        if named is not None:
            raise InputDataError(f"{source} cannot be reused: {error}; name other labels, or none") from error
        return OutcomeIndex(), f"{source} is not reused: {error}; every paper is scored"
    return index, None


def _finish_parts(job: Job, store: PartStore, previous: OutcomeIndex, on_progress: Callable[[Progress], None]) -> int:
    """Finish all parts of a job; return how many rows were finished already."""
    plan = job.plan
    known = Known(previous=previous, current=OutcomeIndex())
    todo: list[Part] = []
    for part in plan.parts:
        finished = store.load(part)
        if finished is None:
            todo.append(part)
            continue
        for batch in finished.table.to_batches():
            known.current.add(*outcomes_of(batch))
    resumed = plan.rows - sum(part.rows for part in todo)
    rows_done, parts_done = resumed, len(plan.parts) - len(todo)

    def advance(rows: int) -> None:
        nonlocal rows_done
        rows_done += rows
        on_progress(Progress(papers=plan.rows, papers_done=rows_done, parts=len(plan.parts), parts_done=parts_done))

    advance(0)
    for part, finished in score_parts(plan, todo, job.classifier, known, threads=job.settings.threads, on_rows=advance):
        plan.check_unchanged()
        store.save(part, finished)
        parts_done += 1
        advance(0)
    return resumed


def _resolve_target(target: Path, plan: Plan) -> Path:
    """Follow the target's links; refuse one in no folder, one that is a folder, or one of the input files."""
    try:
        path = target.resolve()
        if not path.parent.is_dir():
            raise OutputError(
                f"{target}: cannot be created: no folder {path.parent}; name a file in a folder that exists"
            )
        if path.is_dir():
            raise OutputError(f"{target} is a folder; name a file in it")
        for source in plan.sources if path.exists() else ():
            if source.path.samefile(path):  # compares device and inode: sees through links of both kinds
                raise OutputError(f"{target} is the input file {source.path} itself; name another file")
    except (OSError, RuntimeError) as error:  # until Python 3.13 a link to itself is a RuntimeError
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise
        raise OutputError(
            f"{target}: cannot be created: {error}; name a file in a folder that is accessible"
        ) from error
    return path
