"""The engine seam: a function that scores the parts of labels files. Here the local one, threads of this process.

It reads ahead by one part, so that no thread waits for the disk.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ro32.data.labels import label_table, outcomes_of
from ro32.data.papers import Papers, Part
from ro32.data.part_reader import Known, read_parts
from ro32.errors import interruptions_held_back
from ro32.model.classifier import Classifier, Scored
from ro32.model.outcomes import REASONS, OutcomeIndex, Outcomes
from ro32.run.job import Job
from ro32.run.journal import Journal, Stage
from ro32.run.parts import FinishedPart, PartStore, RowCounts
from ro32.run.plan import Plan
from ro32.run.reuse import Earlier

_CHUNK_PAPERS = (1, 16)
"""Papers a thread takes at once, at least and at most: so many that handing them over costs nothing."""
_SCREENED_CHUNK_PAPERS = (16, 256)
"""The same where a cascade leaves a few of them to the encoder, or there is none: as many as `ro32.model.ngrams` hashes
at once."""
_INTERRUPTIBLE_S = 0.1
"""Time after which a signal ends the wait for a thread."""


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What is left to do for one labels file.

    Attributes:
        job: What it is made from.
        store: Its finished parts; the others go there.
        parts: The parts that are not finished, in their order.
        earlier: What earlier labels say.
        current: Outcomes of the finished parts; grows while the run goes on.
    """

    job: Job
    store: PartStore
    parts: Sequence[Part]
    earlier: Earlier
    current: OutcomeIndex

    @classmethod
    def resume(cls, job: Job, earlier: Earlier, journal: Journal) -> "Remaining":
        """Take over the parts that a killed run finished, and count their rows in the journal. Nothing is written."""
        journal.enter(Stage.RESUME)
        store, current, todo = PartStore(job.target, job.fingerprint), OutcomeIndex(), list[Part]()
        for part in job.plan.parts:
            finished = store.load(part)
            if finished is None:
                todo.append(part)
                continue
            for batch in finished.table.to_batches():
                current.add(*outcomes_of(batch))
            journal.resumed += finished.counts
        return cls(job=job, store=store, parts=todo, earlier=earlier, current=current)


@dataclass(frozen=True, kw_only=True)
class _InFlight:
    """A part, or a piece of a large one, that threads score.

    `before` tells which papers earlier labels know, and their outcomes there; `todo` are the rows that need the model.
    """

    part: Part
    papers: Papers
    before: tuple[NDArray[np.bool_], Outcomes]
    todo: NDArray[np.intp]
    futures: Sequence[Future[Scored]]


Engine = Callable[[Iterable[Remaining], Journal, Callable[[int], None]], Iterator[RowCounts]]
"""Scores parts and saves them. A part's labels depend on its rows and the model alone, so engines agree.

Called with the work, asked for one labels file after the other as it is needed, so that memory holds few of them; with
the journal, which records where the time goes; and with a function that it calls, in the caller's thread, with the
number of rows done since the last call. Yields the counts of each part that is saved. Raises a Ro32Error where an
input changed, is damaged or missing, and an OSError where the disk is full or failed.
"""


def score_locally(work: Iterable[Remaining], journal: Journal, on_rows: Callable[[int], None]) -> Iterator[RowCounts]:
    """Score parts in order by threads of this process. An `Engine`."""
    for remaining in work:
        job = remaining.job
        for part, finished in score_parts(
            job.plan,
            remaining.parts,
            job.classifier,
            remaining.earlier.outcomes,
            remaining.current,
            threads=job.settings.threads,
            journal=journal,
            on_rows=on_rows,
            known=remaining.earlier.rows.find,
        ):
            journal.enter(Stage.SAVE_PART)
            job.plan.check_unchanged(after=part)
            remaining.store.save(part, finished)
            yield finished.counts


def score_parts(
    plan: Plan,
    parts: Sequence[Part],
    classifier: Classifier,
    previous: OutcomeIndex,
    current: OutcomeIndex,
    *,
    threads: int,
    journal: Journal,
    on_rows: Callable[[int], None],
    known: Known = lambda _: None,
) -> Iterator[tuple[Part, FinishedPart]]:
    """Label parts of a plan, in order, and yield each when it is finished.

    Args:
        plan: The plan.
        parts: Its parts that are not finished yet, in its order.
        classifier: The model, shared by the threads.
        previous: Outcomes that need no model: of earlier labels.
        current: The same of this run; what is scored is added.
        threads: Calling threads.
        journal: Records where the time goes.
        on_rows: Called in this thread with the number of rows done since the last call.
        known: Of which parts the texts need not be decoded, since their outcomes are in `previous`.
    """
    stop = threading.Event()
    all_encoded = classifier.full and classifier.manifest.has_encoder
    least, most = _CHUNK_PAPERS if all_encoded else _SCREENED_CHUNK_PAPERS
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    in_flight: deque[_InFlight] = deque()
    whole = {part.index: part for part in parts}  # a part of long texts is read in pieces
    done: list[FinishedPart] = []

    def finish() -> Iterator[tuple[Part, FinishedPart]]:
        journal.enter(Stage.SCORE)
        piece = in_flight.popleft()
        on_rows(len(piece.papers) - len(piece.todo))
        chunks: list[Scored] = []
        for future in piece.futures:
            chunks.append(_result_of(future))
            journal.thread_seconds += chunks[-1].seconds
            on_rows(len(chunks[-1].outcomes))
        journal.enter(Stage.LABEL)
        current.add(piece.papers.hashes[piece.todo], Outcomes.concatenate([chunk.outcomes for chunk in chunks]))
        done.append(_finished(piece, chunks, current, classifier))
        part = whole[piece.part.index]
        if sum(finished.counts.rows for finished in done) == part.rows:
            yield part, FinishedPart.join(done)
            done.clear()

    try:
        journal.enter(Stage.READ)
        for part, papers in read_parts(parts, plan.columns, plan.id_type, known):
            journal.enter(Stage.LOOK_UP)
            ahead = {digest for piece in in_flight for digest in piece.papers.hashes[piece.todo]}
            before = previous.find(papers.hashes)
            todo = rows_to_score(papers, before[0] | current.find(papers.hashes)[0], ahead)
            futures = []
            for rows in cut_into_chunks(todo, least=least, most=most, threads=threads):
                titles, abstracts = ([texts[row] for row in rows] for texts in (papers.titles, papers.abstracts))
                with interruptions_held_back():
                    futures.append(pool.submit(classifier.score, titles, abstracts, papers.hashes[rows], stop))
            in_flight.append(_InFlight(part=part, papers=papers, before=before, todo=todo, futures=futures))
            if len(in_flight) > 1:
                yield from finish()
            journal.enter(Stage.READ)
        while in_flight:
            yield from finish()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _result_of(future: Future[Scored]) -> Scored:
    """Wait for what a thread returns, in spells between which an interruption is raised."""
    while True:
        with interruptions_held_back():
            if wait((future,), _INTERRUPTIBLE_S).done:
                return future.result()


def rows_to_score(papers: Papers, known: NDArray[np.bool_], ahead: set[bytes]) -> NDArray[np.intp]:
    """Find the rows of a part that need the model, shape (m,), rising: the first of each text that nobody knows yet.

    Args:
        papers: The part, n rows.
        known: Which of them have an outcome, shape (n,).
        ahead: Hashes that an earlier part is about to score.
    """
    rows = np.flatnonzero((papers.errors == 0) & ~known)
    _, first = np.unique(papers.hashes[rows], return_index=True)
    rows = np.sort(rows[first])
    return np.array([row for row in rows if papers.hashes[row] not in ahead], dtype=np.intp) if ahead else rows


def cut_into_chunks(rows: NDArray[np.intp], *, least: int, most: int, threads: int) -> Iterator[NDArray[np.intp]]:
    """Cut rows into what a thread takes at once: less and less of what is left, so that all threads end together.

    Source: guided self-scheduling (Polychronopoulos and Kuck, IEEE Transactions on Computers 36, 1987), halved: papers
    differ in length.
    """
    while len(rows):
        share = -(-len(rows) // (2 * threads))
        chunk, rows = np.split(rows, [min(max(share, least), most)])
        yield chunk


def _finished(
    piece: _InFlight, chunks: Sequence[Scored], current: OutcomeIndex, classifier: Classifier
) -> FinishedPart:
    """Assemble a part whose texts are all known by now, and count what became of its rows."""
    papers, todo, (in_previous, before) = piece.papers, piece.todo, piece.before
    in_current, now = current.find(papers.hashes)
    unreadable = papers.errors > 0
    outcomes = Outcomes(
        scores=np.where(unreadable, np.float32(np.nan), np.where(in_current, now.scores, before.scores)),
        errors=np.where(unreadable, papers.errors, np.where(in_current, now.errors, before.errors)),
        screened=~unreadable & np.where(in_current, now.screened, before.screened),
    )
    decision, has_score = classifier.decision, outcomes.errors == 0
    taken = np.zeros(len(papers), dtype=np.bool_)
    taken[todo] = True
    reused = int(np.sum(in_previous & ~taken & ~unreadable))
    counts = RowCounts(
        rows=len(papers),
        scored=len(todo),
        reused=reused,
        duplicates=len(papers) - len(todo) - reused - int(unreadable.sum()),
        unreadable=int(unreadable.sum()),
        positives=int(np.sum(decision.positive(outcomes.scores))),
        uncertain=int(np.sum(has_score & decision.uncertain(outcomes.scores))),
        unscored=dict(Counter(str(REASONS[code]) for code in outcomes.errors[~has_score])),
        tokens=sum(chunk.tokens for chunk in chunks),
        screened=sum(int(chunk.outcomes.screened.sum()) for chunk in chunks),
        audited=sum(chunk.audited for chunk in chunks),
        disagreements=sum(chunk.disagreements for chunk in chunks),
    )
    return FinishedPart(table=label_table(papers, outcomes, classifier.manifest, decision), counts=counts)
