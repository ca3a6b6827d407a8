"""The seam between a run and what scores its parts: threads of this process, or the nodes of a cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ro32.data.papers import Part
from ro32.model.outcomes import OutcomeIndex
from ro32.run.job import Job
from ro32.run.journal import Journal, Stage
from ro32.run.parts import Counts, PartStore
from ro32.run.resume import take_over
from ro32.run.reuse import outcomes_before
from ro32.run.threads import Known, score_parts


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What is left to do for one labels file.

    Attributes:
        job: What it is to be made from.
        store: Its finished parts; the others go there.
        known: Outcomes that need no model.
        parts: The parts that are not finished, in their order.
    """

    job: Job
    store: PartStore
    known: Known
    parts: Sequence[Part]

    @classmethod
    def begin(cls, job: Job, journal: Journal, previous: OutcomeIndex | None = None) -> "Unfinished":
        """Read what earlier labels and a killed run hold, and prepare the folder of parts.

        Args:
            job: What the labels are to be made from.
            journal: Told what became of the rows that are done.
            previous: Outcomes of earlier labels; by default those that the job's settings name.

        Raises:
            InputDataError: Labels were named for reuse and cannot be.
            OutputError: The folder cannot be created.
            OSError: The disk is full or failed.
        """
        journal.enter(Stage.REUSE)
        previous = outcomes_before(job, journal) if previous is None else previous
        store = PartStore(job.target, job.fingerprint)
        store.prepare()
        known = Known(previous=previous, current=OutcomeIndex())
        return cls(job=job, store=store, known=known, parts=take_over(job, store, known.current, journal))


class Engine(Protocol):
    """Finishes parts. A part's labels depend on its rows, the model and the settings alone, so engines agree."""

    @property
    def name(self) -> str:
        """What footers and reports call it."""

    def finish(
        self, work: Iterable[Unfinished], journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[tuple[Unfinished, Counts]]:
        """Score parts and keep them in their stores.

        Args:
            work: What is to be done, in order. It is asked for the next labels file only when that is needed, so memory
                holds few of them.
            journal: Told where the time goes.
            on_rows: Called in this thread with the number of rows done since the last call.

        Yields:
            For each part that is finished and kept, the labels file that it belongs to and what became of its rows.

        Raises:
            Ro32Error: An input changed, is damaged or missing.
            OSError: The disk is full or failed.
        """


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Threads of this process around one classifier."""

    name: str = "local"

    def finish(
        self, work: Iterable[Unfinished], journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[tuple[Unfinished, Counts]]:
        """Score parts in order; see `Engine.finish`."""
        for unfinished in work:
            job = unfinished.job
            parts = score_parts(
                job.plan,
                unfinished.parts,
                job.classifier,
                unfinished.known,
                threads=job.settings.threads,
                journal=journal,
                on_rows=on_rows,
                screen=job.screen,
            )
            for part, finished in parts:
                journal.enter(Stage.KEEP)
                job.plan.check_unchanged(after=part)
                unfinished.store.save(part, finished)
                yield unfinished, finished.counts
