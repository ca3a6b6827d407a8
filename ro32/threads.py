"""The local engine: calling threads around one classifier, reading ahead by one part so that no core waits."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from math import isfinite

from ro32.classifier import Classifier
from ro32.labels import EMPTY_TEXT, NON_FINITE
from ro32.papers import Papers, read_parts
from ro32.plan import Plan

_CHUNK_PAPERS = 16
"""Papers a thread takes at once: few enough that the threads end their last part together."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the model says of n papers.

    Attributes:
        scores: n probabilities of the positive label; None where a paper was not scored.
        errors: n reasons why a paper was not scored; None where it was.
        tokens: Tokens that the model saw, special tokens included.
    """

    scores: list[float | None]
    errors: list[str | None]
    tokens: int


def score_papers(classifier: Classifier, papers: Papers, rows: range, stop: threading.Event) -> Scored:
    """Score some rows of a part, one at a time.

    Args:
        classifier: The model.
        papers: The part.
        rows: The rows to score.
        stop: When set, the work ends after the current paper; the result is short then and of no use.
    """
    scores: list[float | None] = []
    errors: list[str | None] = []
    tokens = 0
    for row in rows:
        if stop.is_set():
            break
        input_ids = classifier.encode(papers.titles[row], papers.abstracts[row])
        tokens += len(input_ids)
        score = classifier.score(input_ids) if input_ids else None
        error = EMPTY_TEXT if score is None else None if isfinite(score) else NON_FINITE
        scores.append(score if error is None else None)
        errors.append(error)
    return Scored(scores=scores, errors=errors, tokens=tokens)


def score_parts(
    plan: Plan, classifier: Classifier, threads: int, on_scored: Callable[[int], None]
) -> Iterator[tuple[Papers, Scored]]:
    """Score all parts of a plan, in order.

    Args:
        plan: What to read.
        classifier: The model, shared by the threads.
        threads: Calling threads.
        on_scored: Called in this thread with the number of papers scored since the last call.

    Yields:
        Each part's papers and what the model says of them.
    """
    stop = threading.Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")

    def submit(papers: Papers) -> list[Future[Scored]]:
        starts = range(0, len(papers), _CHUNK_PAPERS)
        chunks = [range(start, min(start + _CHUNK_PAPERS, len(papers))) for start in starts]
        return [pool.submit(score_papers, classifier, papers, rows, stop) for rows in chunks]

    def collect(futures: list[Future[Scored]]) -> Scored:
        results = []
        for future in futures:
            results.append(future.result())
            on_scored(len(results[-1].scores))
        return Scored(
            scores=list(chain.from_iterable(result.scores for result in results)),
            errors=list(chain.from_iterable(result.errors for result in results)),
            tokens=sum(result.tokens for result in results),
        )

    in_flight: deque[tuple[Papers, list[Future[Scored]]]] = deque()
    try:
        for _, papers in read_parts(plan.parts, plan.columns, plan.id_type):
            in_flight.append((papers, submit(papers)))
            if len(in_flight) > 1:
                done, futures = in_flight.popleft()
                yield done, collect(futures)
        while in_flight:
            done, futures = in_flight.popleft()
            yield done, collect(futures)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
