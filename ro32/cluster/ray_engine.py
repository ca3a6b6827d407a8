"""The driver of the cluster engine: assigns parts, collects results, and isolates parts that crash workers."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn

import ray
from ray import exceptions

from ro32.cluster.connection import connected
from ro32.cluster.pool import ActorPool, Assignment, PooledActor
from ro32.cluster.worker import Model, SavedPart, Worker
from ro32.errors import ClusterError, Ro32Error, UsageError, one_line
from ro32.model.bundle import Bundle
from ro32.run.engine import Remaining
from ro32.run.job import Job
from ro32.run.journal import IsolatedPart, Journal, Stage
from ro32.run.parts import RowCounts

STRIKES = 3
"""Workers that a part may kill before it is left alone."""
FAILED_STARTS = 3
"""Actors in a row that may fail to start on nodes that live before the run ends."""
PATIENCE_S = 600.0
"""How long a run waits while not one actor is there: an autoscaler brings a node within minutes."""
_WAIT_S = 1.0
"""Longest wait for actors, since a signal is heeded only in between."""


class RayEngine:
    """Scores parts by actors of Ray.

    Labels and parts are those of the local engine, to the bit, but for one count: equal texts in different parts are
    scored once in each, as actors do not wait for each other.

    Args:
        bundle: The bundle of the run's classifier: what is shipped to the nodes.
        address: Of the cluster's head; by default as Ray finds one.
        least: Actors that are there during all of the run.
        most: Actors that are there when there is work for as many; by default as many as the cluster's processors
            allow when the run begins. A cluster that grows on demand is asked for room for them.
        worker: Class of the workers.

    Raises:
        UsageError: The numbers of actors contradict each other.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        address: str | None = None,
        least: int = 1,
        most: int | None = None,
        worker: type[Worker] = Worker,
    ) -> None:
        if least < 1 or (most is not None and most < least):
            raise UsageError(f"expected at least 1 actor, and at most as many or more, found {least} and {most}")
        self._bundle, self._address = bundle, address
        self._least, self._most, self._worker = least, most, worker

    def __call__(
        self, work: Iterable[Remaining], journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[RowCounts]:
        """Score parts in whatever order; see `ro32.run.engine.Engine`.

        A part that kills its workers is noted in the journal's `isolated`, and the others go on.

        Raises:
            ClusterError: The cluster cannot be reached or has no room, or its nodes are not fit.
            UsageError: The run's classifier has another bundle than this engine.
        """
        journal.engine = "ray"
        unfinished = (remaining for remaining in work if remaining.parts)
        first = next(unfinished, None)
        if first is None:
            return
        model = self._model(first.job)
        with connected(self._address):
            room = int(ray.cluster_resources().get("CPU", 0)) // model.threads
            pool = ActorPool(
                model=ray.put(model),
                worker=self._worker,
                threads=model.threads,
                least=self._least,
                most=self._most or max(room, self._least),
            )
            yield from _Run(pool, chain([first], unfinished), model.threads, journal, on_rows).parts()

    def _model(self, job: Job) -> Model:
        """Return the data that an actor needs to score the papers of a job."""
        if job.classifier.digest != self._bundle.digest:
            raise UsageError("the engine ships another bundle than the classifier has; give both the same")
        return Model(
            bundle=self._bundle,
            full=job.classifier.full,
            decision=job.classifier.decision,
            scoring_digest=job.classifier.scoring_digest,
            threads=job.settings.threads,
        )


class _Run:
    """One run over a pool of actors."""

    def __init__(
        self,
        pool: ActorPool,
        work: Iterable[Remaining],
        threads: int,
        journal: Journal,
        on_rows: Callable[[int], None],
    ) -> None:
        self._pool, self._threads, self._journal, self._on_rows = pool, threads, journal, on_rows
        self._pending = _assignments(work)
        self._queue: deque[Assignment] = deque()
        self._failed_starts = 0
        self._served = time.monotonic()

    def parts(self) -> Iterator[RowCounts]:
        """Yield the counts of each part when it is finished and kept."""
        try:
            while True:
                # As many parts as the pool may have actors for: no more, so that memory holds few labels files.
                self._queue.extend(islice(self._pending, self._pool.most - len(self._queue) - self._pool.busy))
                self._pool.resize(len(self._queue) + self._pool.busy)
                for actor in self._pool.free()[: len(self._queue)]:
                    _give(actor, self._queue.popleft())
                if not self._queue and not self._pool.busy:
                    return
                self._journal.enter(Stage.SCORE)
                for actor in self._pool.wait(_WAIT_S):
                    yield from self._collect(actor)
                self._check_patience()
        finally:
            self._pool.close()

    def _collect(self, actor: PooledActor) -> Iterator[RowCounts]:
        """Receive the result of an actor, or record its death."""
        try:
            result = ray.get(actor.ref)
        except exceptions.RayTaskError as error:  # raised on the node, by our code or below it
            if isinstance(error.cause, Ro32Error | OSError):
                raise error.cause from error
            if actor.work is None:
                self._give_up(f"a node could not start an actor: {_one_line(error.cause)}")
            raise
        except exceptions.RayError as error:
            self._pool.end(actor)
            self._on_actor_lost(actor, error)
            return
        assignment, actor.work, actor.ref = actor.work, None, None
        if assignment is None:
            actor.node, self._failed_starts = result, 0
            return
        self._journal.enter(Stage.SAVE_PART)
        self._adopt(assignment, result)
        yield result.counts

    def _adopt(self, assignment: Assignment, saved: SavedPart) -> None:
        remaining, part = assignment.remaining, assignment.part
        if not remaining.store.adopt(part, saved.name):
            raise ClusterError(
                f"{remaining.job.target}: a node wrote part {part.index}, but it cannot be read here; name an output "
                "on a file system that all nodes share, or in a store"
            )
        self._journal.thread_seconds += saved.thread_seconds
        self._on_rows(part.rows)

    def _on_actor_lost(self, actor: PooledActor, error: Exception) -> None:
        """Decide what the loss of an actor means for its part."""
        assignment = actor.work
        if assignment is None:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                self._give_up(f"{FAILED_STARTS} actors in a row could not start: {_one_line(error)}")
            return
        if actor.node in {node["NodeID"] for node in ray.nodes() if node["Alive"]}:  # else the node is to blame
            assignment.strikes += 1
        if assignment.strikes < STRIKES:
            self._queue.appendleft(assignment)
            return
        part = assignment.part
        isolated = IsolatedPart(path=str(part.path), start=part.start, rows=part.rows, reason=_one_line(error))
        self._journal.isolated.append(isolated)
        self._journal.warn(
            "isolated_part",
            f"{isolated.path}: rows {part.start:,} to {part.start + part.rows - 1:,} crashed {STRIKES} workers and are "
            f"isolated; the last error: {isolated.reason}",
        )

    def _check_patience(self) -> None:
        now = time.monotonic()
        if self._pool.started:
            self._served = now
        elif now - self._served > PATIENCE_S:
            self._give_up(f"no node had {self._threads} free processors for {PATIENCE_S:.0f} seconds")

    def _give_up(self, reason: str) -> NoReturn:
        raise ClusterError(f"{reason}; finished parts are kept; repair the cluster and run again")


def _assignments(work: Iterable[Remaining]) -> Iterator[Assignment]:
    """Yield the parts, after what is known of their labels file was put where all nodes find it."""
    for remaining in work:
        previous = ray.put(remaining.earlier.outcomes)
        for part in remaining.parts:
            yield Assignment(remaining=remaining, part=part, previous=previous)


def _give(actor: PooledActor, assignment: Assignment) -> None:
    """Let a free actor score a part."""
    plan, part, store = assignment.remaining.job.plan, assignment.part, assignment.remaining.store
    # A node has a working folder of its own.
    path = part.path.absolute() if isinstance(part.path, Path) else part.path
    source = replace(plan.by_path[part.path], path=path)
    alone = replace(plan, sources=(source,), parts=(replace(part, path=path),))
    actor.work = assignment
    actor.ref = actor.handle.score.remote(alone, store.folder_for(part), assignment.previous)


def _one_line(error: Exception) -> str:
    """Return the beginning of what Ray says of a failure, in one line."""
    return one_line(error)[:500]
