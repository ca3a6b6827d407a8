"""The walk: plan parts, score each, commit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ro32.errors import ClusterError, OutputError, ReadWriteError, check_interrupted
from ro32.model.classifier import Classifier
from ro32.run.commit import commit
from ro32.run.engine import Engine, Remaining, score_locally
from ro32.run.job import Settings
from ro32.run.journal import FolderChanges, Journal, SkippedFile, Stage
from ro32.run.judge import Before, judge
from ro32.run.newest import Collector
from ro32.run.parts import RowCounts
from ro32.run.plan import Plan
from ro32.run.prepare import prepare
from ro32.run.reuse import footer_before, outcomes_before
from ro32.storage.files import Target
from ro32.storage.lock import only_run
from ro32.storage.urls import ObjectUrl, place


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
        skipped: Input files that were skipped.
        not_reused: Why no earlier labels were taken over; None if they were, or where there were none.
        folder: What became of the labels files, where the output is a folder.
    """

    counts: RowCounts
    resumed: int
    seconds: float
    skipped: tuple[SkippedFile, ...]
    not_reused: str | None
    folder: FolderChanges | None = None


def score_file(
    inputs: str | Path | Sequence[str | Path],
    target: str | Path | ObjectUrl,
    *,
    classifier: Classifier | None = None,
    settings: Settings | None = None,
    engine: Engine | None = None,
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
        engine: Scores the parts; threads of this process by default.
        journal: Records what the run does, for reports; also of use when it fails.
        on_progress: Called in this thread whenever rows are done.

    Raises:
        UsageError: A URL is none, or not allowed.
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for, too many of its rows have no text, or a sample of
            them contradicts the cascade's certificate.
        OutputError: The target cannot be created, or is one of the input files.
        ReadWriteError: The disk failed half-way.
        TryAgainError: Another run writes the same target, or the input changed meanwhile.
        ClusterError: The engine's cluster failed, or parts killed their workers there.
    """
    if str(target).endswith("/"):
        raise OutputError(f"{target} is a folder; name a file in it, or call score_folder")
    journal, target, engine = journal or Journal(), place(target), engine or score_locally
    job = prepare(
        as_texts(inputs),
        target,
        classifier=classifier or Classifier.load(),
        settings=settings or Settings(),
        journal=journal,
    )
    try:
        with only_run(job.target), job.plan.changes_reported():
            journal.enter(Stage.REUSE)
            before = Before.from_footers(filter(None, [footer_before(job)]), job.classifier)
            remaining = Remaining.resume(job, outcomes_before(job, journal), journal)
            remaining.store.folder.create()
            progress = ProgressCount(job.plan, on_progress)
            for counts in engine(progress.begin([remaining]), journal, progress.advance):
                journal.done += counts
                progress.finish_part()
            refuse_isolated(target, journal)
            journal.enter(Stage.COMMIT)
            newest = Collector(job.classifier.manifest.positive_label, job.plan)
            commit(job, remaining.store, newest, journal, check=lambda counts: judge(job, counts, journal, before))
            journal.newest = newest if newest.columns else None
            journal.published = True
            remaining.store.folder.clear()
    except OSError as error:  # before the commit; after it, nothing raises one
        raise ReadWriteError(
            f"{target}: writing failed: {error.strerror or error}; nothing was published, finished parts are kept"
        ) from error
    return summarize(journal)


def as_texts(inputs: str | Path | Sequence[str | Path]) -> list[str]:
    """Return one input or several as a user would type them."""
    return [str(item) for item in ([inputs] if isinstance(inputs, str | Path) else inputs)]


def refuse_isolated(target: Target | ObjectUrl, journal: Journal) -> None:
    """Raise ClusterError if parts killed their workers: nothing is published that lacks a part."""
    if journal.isolated:
        first = journal.isolated[0]
        raise ClusterError(
            f"{target}: {sum(part.rows for part in journal.isolated):,} papers are not scored, since "
            f"{len(journal.isolated)} of the parts killed each worker that they were given to (the first: rows from "
            f"{first.start:,} of {first.path}); all other parts are kept; look at these papers and at the memory of "
            "the nodes, and run again"
        )


def summarize(journal: Journal) -> Summary:
    """Sum up a run that has ended well."""
    return Summary(
        counts=journal.counts,
        resumed=journal.resumed.rows,
        seconds=sum(journal.seconds().values()),
        skipped=tuple(journal.skipped),
        not_reused=next((warned.message for warned in journal.warnings if warned.kind == "not_reused"), None),
        folder=journal.folder,
    )


class ProgressCount:
    """Counts rows and parts of a whole run that are done, and reports them; some may be done before it begins."""

    def __init__(
        self, plan: Plan, on_progress: Callable[[Progress], None], *, rows_done: int = 0, parts_done: int = 0
    ) -> None:
        self._plan, self._report = plan, on_progress
        self._rows_done, self._parts_done = rows_done, parts_done

    def begin(self, work: Iterable[Remaining]) -> Iterator[Remaining]:
        """Hand work on, and count the parts that an earlier run finished."""
        for remaining in work:
            plan = remaining.job.plan
            self._parts_done += len(plan.parts) - len(remaining.parts)
            self.advance(plan.rows - sum(part.rows for part in remaining.parts))
            yield remaining

    def advance(self, rows: int) -> None:
        """Count rows; a moment at which the run can be interrupted."""
        check_interrupted()
        self._rows_done += rows
        self._report(
            Progress(
                papers=self._plan.rows,
                papers_done=self._rows_done,
                parts=len(self._plan.parts),
                parts_done=self._parts_done,
            )
        )

    def finish_part(self) -> None:
        """Count a part."""
        self._parts_done += 1
        self.advance(0)
