"""The walk: plan parts, score each, commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ro32.classifier import Classifier
from ro32.commit import commit
from ro32.errors import ReadWriteError
from ro32.job import Job, Settings
from ro32.journal import Journal, SkippedFile, Stage
from ro32.lock import only_run
from ro32.outcomes import OutcomeIndex
from ro32.parts import Counts, PartStore
from ro32.prepare import prepare
from ro32.remote.urls import ObjectUrl, place
from ro32.resume import take_over
from ro32.reuse import outcomes_before
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
        seconds: Wall-clock time from the beginning of the journal to the commit.
        skipped: Input files that were left out.
        not_reused: Why no earlier labels were taken over; None where they were, or where there were none.
    """

    counts: Counts
    resumed: int
    seconds: float
    skipped: tuple[SkippedFile, ...]
    not_reused: str | None


def score_file(
    inputs: str | Path | Sequence[str | Path],
    target: str | Path | ObjectUrl,
    *,
    classifier: Classifier | None = None,
    settings: Settings | None = None,
    journal: Journal | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Label every paper of the input.

    Args:
        inputs: A Parquet file, a folder or a glob pattern, or several; together they are one input, sorted by name.
            Each may be a URL of an object store.
        target: The labels file, or its URL. It appears whole or not at all; one that is there is replaced.
        classifier: The model; the bundle that comes with ro32 by default.
        settings: How to score.
        journal: Told what the run does, for reports; also of use when it fails.
        on_progress: Called in this thread whenever rows are done.

    Raises:
        UsageError: A cascade is asked for that the bundle does not have.
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for, too many of its rows have no text, or a sample of
            them contradicts the cascade's certificate.
        OutputError: The target cannot be created, or is one of the input files.
        ReadWriteError: The disk failed half-way.
        TryAgainError: Another run writes the same target, or the input changed meanwhile.
    """
    journal, target = journal or Journal(), place(target)
    job = prepare(
        [str(item) for item in ([inputs] if isinstance(inputs, str | Path) else inputs)],
        target,
        classifier=classifier or Classifier.load(),
        settings=settings or Settings(),
        journal=journal,
    )
    try:
        with only_run(job.target):
            journal.enter(Stage.REUSE)
            previous = outcomes_before(job, journal)
            store = PartStore(job.target, job.fingerprint)
            store.prepare()
            _finish_parts(job, store, previous, journal, on_progress)
            journal.enter(Stage.COMMIT)
            commit(job, store, journal)
            store.clear()
    except OSError as error:  # before the commit; after it, nothing raises one
        raise ReadWriteError(
            f"{target}: writing failed: {error.strerror or error}; nothing was published, finished parts are kept"
        ) from error
    return Summary(
        counts=journal.counts,
        resumed=journal.resumed.rows,
        seconds=sum(journal.seconds().values()),
        skipped=tuple(journal.skipped),
        not_reused=next((warned.message for warned in journal.warnings if warned.kind == "not_reused"), None),
    )


def _finish_parts(
    job: Job, store: PartStore, previous: OutcomeIndex, journal: Journal, on_progress: Callable[[Progress], None]
) -> None:
    """Finish all parts of a job that are not finished yet."""
    plan = job.plan
    known = Known(previous=previous, current=OutcomeIndex())
    todo = take_over(job, store, known.current, journal)
    rows_done, parts_done = journal.resumed.rows, len(plan.parts) - len(todo)

    def advance(rows: int) -> None:
        nonlocal rows_done
        rows_done += rows
        on_progress(Progress(papers=plan.rows, papers_done=rows_done, parts=len(plan.parts), parts_done=parts_done))

    advance(0)
    parts = score_parts(
        plan,
        todo,
        job.classifier,
        known,
        threads=job.settings.threads,
        journal=journal,
        on_rows=advance,
        screen=job.screen,
    )
    for part, finished in parts:
        journal.enter(Stage.KEEP)
        plan.check_unchanged(after=part)
        store.save(part, finished)
        journal.done += finished.counts
        parts_done += 1
        advance(0)
