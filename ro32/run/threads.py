"""The local engine: calling threads around one classifier, reading ahead by one part so that no core waits."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ro32.data.labels import label_table
from ro32.data.papers import Papers, Part, read_parts
from ro32.model.classifier import Classifier
from ro32.model.outcomes import REASONS, OutcomeIndex, Outcomes
from ro32.model.screen import Screen
from ro32.run.journal import Journal, Stage
from ro32.run.parts import Counts, FinishedPart
from ro32.run.plan import Plan
from ro32.run.rows import Scored, score_rows

_CHUNK_PAPERS = (1, 16)
"""Papers a thread takes at once, at least and at most: so many that handing them over costs nothing."""
_SCREENED_CHUNK_PAPERS = (16, 256)
"""The same where a screen leaves a few of them to the encoder: as many as `ro32.model.ngrams` hashes at once."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Outcomes that need no model any more.

    Attributes:
        previous: Of an earlier labels file.
        current: Of this run; grows while it goes on.
    """

    previous: OutcomeIndex
    current: OutcomeIndex


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done for one part.

    Attributes:
        papers: The part.
        todo: Rows to score, shape (m,): the first of each text that nobody knows yet.
        reused: Rows whose outcome an earlier labels file holds.
    """

    papers: Papers
    todo: NDArray[np.intp]
    reused: int


def sort_out(papers: Papers, known: Known, ahead: set[bytes]) -> Work:
    """Find the rows of a part that need the model.

    Args:
        papers: The part.
        known: Outcomes that are there already.
        ahead: Hashes that an earlier part is about to score.
    """
    in_previous, _ = known.previous.find(papers.hashes)
    in_current, _ = known.current.find(papers.hashes)
    first = np.zeros(len(papers), dtype=np.bool_)
    first[np.unique(papers.hashes, return_index=True)[1]] = True
    todo = np.flatnonzero(first & ~in_previous & ~in_current)
    if ahead:
        todo = np.array([row for row in todo if papers.hashes[row] not in ahead], dtype=np.intp)
    return Work(papers=papers, todo=todo, reused=int(in_previous.sum()))


def cut_into_chunks(rows: NDArray[np.intp], *, least: int, most: int, threads: int) -> Iterator[NDArray[np.intp]]:
    """Cut rows into what a thread takes at once: less and less of what is left, so that all threads end together.

    Source: guided self-scheduling (Polychronopoulos and Kuck, IEEE Transactions on Computers 36, 1987), halved: papers
    differ in length.

    Args:
        rows: Shape (m,).
        least: Rows of a chunk, but for the last.
        most: Rows of a chunk.
        threads: That take them.
    """
    at = 0
    while at < len(rows):
        share = -(-(len(rows) - at) // (2 * threads))
        size = min(max(share, least), most)
        yield rows[at : at + size]
        at += size


def score_parts(
    plan: Plan,
    parts: Sequence[Part],
    classifier: Classifier,
    known: Known,
    *,
    threads: int,
    journal: Journal,
    on_rows: Callable[[int], None],
    screen: Screen | None = None,
) -> Iterator[tuple[Part, FinishedPart]]:
    """Label parts of a plan, in order.

    Args:
        plan: The plan.
        parts: Its parts that are not finished yet, in its order.
        classifier: The model, shared by the threads.
        known: Outcomes that need no model; what is scored is added.
        threads: Calling threads.
        journal: Told where the time goes.
        on_rows: Called in this thread with the number of rows done since the last call.
        screen: Decides which papers need no encoder; without one, all are scored in full.

    Yields:
        Each part, finished.
    """
    stop = threading.Event()
    least, most = _CHUNK_PAPERS if screen is None else _SCREENED_CHUNK_PAPERS
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    in_flight: deque[tuple[Part, Work, list[Future[Scored]]]] = deque()

    def start(part: Part, papers: Papers) -> None:
        journal.enter(Stage.LOOK_UP)
        ahead = {digest for _, earlier, _ in in_flight for digest in earlier.papers.hashes[earlier.todo]}
        work = sort_out(papers, known, ahead)
        chunks = cut_into_chunks(work.todo, least=least, most=most, threads=threads)
        futures = [pool.submit(score_rows, classifier, screen, papers, rows.tolist(), stop) for rows in chunks]
        in_flight.append((part, work, futures))

    def finish() -> tuple[Part, FinishedPart]:
        journal.enter(Stage.SCORE)
        part, work, futures = in_flight.popleft()
        on_rows(len(work.papers) - len(work.todo))
        chunks: list[Scored] = []
        for future in futures:
            chunks.append(future.result())
            on_rows(len(chunks[-1].results))
        journal.enter(Stage.LABEL)
        journal.thread_seconds += sum(chunk.seconds for chunk in chunks)
        outcomes = Outcomes.of(list(chain.from_iterable(chunk.results for chunk in chunks)))
        known.current.add(work.papers.hashes[work.todo], outcomes)
        counts = Counts(
            rows=len(work.papers),
            scored=len(work.todo),
            reused=work.reused,
            duplicates=len(work.papers) - len(work.todo) - work.reused,
            tokens=sum(chunk.tokens for chunk in chunks),
            screened=int(outcomes.screened.sum()),
            audited=sum(chunk.audited for chunk in chunks),
            disagreements=sum(chunk.disagreements for chunk in chunks),
        )
        return part, _finished(work, known, classifier, counts)

    try:
        journal.enter(Stage.READ)
        for part, papers in read_parts(parts, plan.columns, plan.id_type):
            start(part, papers)
            if len(in_flight) > 1:
                yield finish()
            journal.enter(Stage.READ)
        while in_flight:
            yield finish()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _finished(work: Work, known: Known, classifier: Classifier, counts: Counts) -> FinishedPart:
    """Assemble a part whose texts are all known by now, and complete what is counted of it."""
    papers = work.papers
    in_current, current = known.current.find(papers.hashes)
    _, previous = known.previous.find(papers.hashes)
    outcomes = Outcomes(
        scores=np.where(in_current, current.scores, previous.scores),
        errors=np.where(in_current, current.errors, previous.errors),
        screened=np.where(in_current, current.screened, previous.screened),
    )
    unscored = Counter(str(REASONS[code]) for code in outcomes.errors[outcomes.errors > 0])
    decision, scored = classifier.decision, outcomes.errors == 0
    return FinishedPart(
        table=label_table(papers, outcomes, classifier.manifest, decision),
        counts=replace(
            counts,
            positives=int(np.sum(decision.positive(outcomes.scores))),
            uncertain=int(np.sum(scored & decision.uncertain(outcomes.scores))),
            unscored=dict(unscored),
        ),
    )
