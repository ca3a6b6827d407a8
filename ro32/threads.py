"""The local engine: calling threads around one classifier, reading ahead by one part so that no core waits."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from ro32.classifier import Classifier
from ro32.journal import Journal, Stage
from ro32.labels import label_table
from ro32.outcomes import EMPTY_TEXT, NON_FINITE, REASONS, OutcomeIndex, Outcomes
from ro32.papers import Papers, Part, read_parts
from ro32.parts import Counts, FinishedPart
from ro32.plan import Plan

_CHUNK_PAPERS = 16
"""Papers a thread takes at once: few enough that the threads end their last part together."""


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


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What one call of `score_rows` found out.

    Attributes:
        results: Score and error code of each row.
        tokens: Tokens that the model saw.
        seconds: Wall-clock time that it took its thread.
    """

    results: Sequence[tuple[float, int]]
    tokens: int
    seconds: float


def score_rows(classifier: Classifier, papers: Papers, rows: Sequence[int], stop: threading.Event) -> Scored:
    """Score some rows of a part, one paper at a time.

    Args:
        classifier: The model.
        papers: The part.
        rows: The rows to score.
        stop: When set, the work ends after the current paper; the result is short then and of no use.
    """
    started = time.monotonic()
    results: list[tuple[float, int]] = []
    tokens = 0
    titles, abstracts = [papers.titles[row] for row in rows], [papers.abstracts[row] for row in rows]
    linear = classifier.linear_scores(titles, abstracts)
    for row, by_words in zip(rows, linear.tolist(), strict=True):
        if stop.is_set():
            break
        input_ids = classifier.encode(papers.titles[row], papers.abstracts[row])
        tokens += len(input_ids)
        score = classifier.score(input_ids, by_words) if input_ids else float("nan")
        error = None if isfinite(score) else NON_FINITE if input_ids else EMPTY_TEXT
        results.append((score, REASONS.index(error)))
    return Scored(results=results, tokens=tokens, seconds=time.monotonic() - started)


def score_parts(
    plan: Plan,
    parts: Sequence[Part],
    classifier: Classifier,
    known: Known,
    *,
    threads: int,
    journal: Journal,
    on_rows: Callable[[int], None],
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

    Yields:
        Each part, finished.
    """
    stop = threading.Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    in_flight: deque[tuple[Part, Work, list[Future[Scored]]]] = deque()

    def start(part: Part, papers: Papers) -> None:
        journal.enter(Stage.LOOK_UP)
        ahead = {digest for _, earlier, _ in in_flight for digest in earlier.papers.hashes[earlier.todo]}
        work = sort_out(papers, known, ahead)
        chunks = [work.todo[at : at + _CHUNK_PAPERS].tolist() for at in range(0, len(work.todo), _CHUNK_PAPERS)]
        in_flight.append((part, work, [pool.submit(score_rows, classifier, papers, rows, stop) for rows in chunks]))

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
        results = list(chain.from_iterable(chunk.results for chunk in chunks))
        known.current.add(work.papers.hashes[work.todo], Outcomes.of(results))
        return part, _finished(work, known, classifier, sum(chunk.tokens for chunk in chunks))

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


def _finished(work: Work, known: Known, classifier: Classifier, tokens: int) -> FinishedPart:
    """Assemble a part whose texts are all known by now."""
    papers = work.papers
    in_current, current = known.current.find(papers.hashes)
    _, previous = known.previous.find(papers.hashes)
    outcomes = Outcomes(
        scores=np.where(in_current, current.scores, previous.scores),
        errors=np.where(in_current, current.errors, previous.errors),
    )
    unscored = Counter(str(REASONS[code]) for code in outcomes.errors[outcomes.errors > 0])
    decision, scored = classifier.decision, outcomes.errors == 0
    return FinishedPart(
        table=label_table(papers, outcomes, classifier.manifest, decision),
        counts=Counts(
            rows=len(papers),
            scored=len(work.todo),
            reused=work.reused,
            duplicates=len(papers) - len(work.todo) - work.reused,
            positives=int(np.sum(decision.positive(outcomes.scores))),
            uncertain=int(np.sum(scored & decision.uncertain(outcomes.scores))),
            unscored=dict(unscored),
            tokens=tokens,
        ),
    )
