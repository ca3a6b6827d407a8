"""The driver of the cluster engine: assigns parts, collects results, and isolates parts that crash workers."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from ro32.cluster.worker import Model, SavedPart, Task, Worker
from ro32.data.papers import Part
from ro32.errors import ClusterError, Ro32Error, UsageError
from ro32.model.bundle import Bundle
from ro32.run.engine import Remaining
from ro32.run.job import Job
from ro32.run.journal import IsolatedPart, Journal, Stage
from ro32.run.parts import Counts

STRIKES = 3
"""Workers that a part may kill before it is left alone."""
FAILED_STARTS = 3
"""Actors in a row that may fail to start on nodes that live before the run ends."""
PATIENCE_S = 600.0
"""How long a run waits while not one actor is there: an autoscaler brings a node within minutes."""
_WAIT_S = 1.0
"""Longest wait for actors, since a signal is heeded only in between."""


@dataclass(kw_only=True)
class _Assignment:
    """A part on its way.

    Attributes:
        remaining: The labels file that it belongs to.
        part: The part.
        previous: Reference to the outcomes that need no model.
        strikes: Workers that it killed.
    """

    remaining: Remaining
    part: Part
    previous: Any
    strikes: int = 0


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
        UsageError: Ray is not installed, or the numbers of actors contradict each other.
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
        if find_spec("ray") is None:
            raise UsageError("the engine ray needs the package ray; run: pip install 'ro32[ray]'")
        if least < 1 or (most is not None and most < least):
            raise UsageError(f"expected at least 1 actor, and at most as many or more, found {least} and {most}")
        self.least, self.most, self.worker = least, most, worker
        self._bundle, self._address = bundle, address

    def __call__(
        self, work: Iterable[Remaining], journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[tuple[Remaining, Counts]]:
        """Score parts in whatever order; see `ro32.run.engine.Engine`.

        A part that kills its workers is noted in the journal's `isolated`, and the others go on.

        Raises:
            ClusterError: The cluster cannot be reached or has no room, or its nodes are not fit.
        """
        from ro32.cluster.connection import connected  # noqa: PLC0415 - Ray is there only where it is asked for

        journal.engine = "ray"
        pending = ((remaining, part) for remaining in work for part in remaining.parts)
        first = next(pending, None)
        if first is None:
            return
        with connected(self._address):
            yield from _Run(self, first, pending, journal, on_rows).parts()

    def model(self, job: Job) -> Model:
        """Return the data that an actor needs to score the papers of a job.

        Raises:
            UsageError: The job has another bundle than this engine.
        """
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
        engine: RayEngine,
        first: tuple[Remaining, Part],
        pending: Iterator[tuple[Remaining, Part]],
        journal: Journal,
        on_rows: Callable[[int], None],
    ) -> None:
        import ray  # noqa: PLC0415 - as above

        from ro32.cluster.pool import ActorPool  # noqa: PLC0415

        model = engine.model(first[0].job)
        room = int(ray.cluster_resources().get("CPU", 0)) // model.threads
        self._ray, self._threads = ray, model.threads
        self._pool: ActorPool[_Assignment] = ActorPool(
            model=ray.put(model),
            worker=engine.worker,
            threads=model.threads,
            least=engine.least,
            most=engine.most or max(room, engine.least),
        )
        self._pending, self._journal, self._on_rows = pending, journal, on_rows
        self._shipped: tuple[Remaining, Any] | None = None
        self._queue: deque[_Assignment] = deque([self._assignment(*first)])
        self._more = True
        self._failed_starts = 0
        self._served = time.monotonic()

    def parts(self) -> Iterator[tuple[Remaining, Counts]]:
        """Yield each part's labels file and counts, when the part is finished and kept."""
        try:
            while True:
                self._fill_queue()
                self._pool.resize(len(self._queue) + self._pool.busy)
                for place in self._pool.free():
                    if self._queue:
                        self._give(place)
                if not self._queue and not self._pool.busy:
                    return
                self._journal.enter(Stage.SCORE)
                for place in self._pool.wait(_WAIT_S):
                    yield from self._collect(place)
                self._check_patience()
        finally:
            self._pool.close()

    def _fill_queue(self) -> None:
        """Take up as many parts as the pool may have actors for: no more, so that memory holds few labels files."""
        while self._more and len(self._queue) + self._pool.busy < self._pool.most:
            found = next(self._pending, None)
            if found is None:
                self._more = False
            else:
                self._queue.append(self._assignment(*found))

    def _assignment(self, remaining: Remaining, part: Part) -> _Assignment:
        """Put what is known of a labels file where all nodes find it, once, and name it with each of its parts."""
        if self._shipped is None or self._shipped[0] is not remaining:
            self._shipped = remaining, self._ray.put(remaining.previous)
        return _Assignment(remaining=remaining, part=part, previous=self._shipped[1])

    def _give(self, place: Any) -> None:  # noqa: ANN401 - a Place, whose module needs Ray
        assignment = self._queue.popleft()
        job, part = assignment.remaining.job, assignment.part
        # A node has a working folder of its own.
        path = part.path.absolute() if isinstance(part.path, Path) else part.path
        source = replace(job.plan.by_path[part.path], path=path)
        plan = replace(job.plan, sources=(source,), parts=())
        task = Task(part=replace(part, path=path), plan=plan, folder=assignment.remaining.store.folder_for(part))
        self._pool.give(place, assignment, task, assignment.previous)

    def _collect(self, place: Any) -> Iterator[tuple[Remaining, Counts]]:  # noqa: ANN401 - as above
        """Receive the result of an actor, or record its death."""
        errors = self._ray.exceptions
        try:
            result = self._ray.get(place.ref)
        except errors.RayTaskError as error:  # raised on the node, by our code or below it
            if isinstance(error.cause, Ro32Error | OSError):
                raise error.cause from error
            if place.work is None:
                self._give_up(f"a node could not start an actor: {_one_line(error.cause)}")
            raise
        except errors.RayError as error:
            self._pool.end(place)
            self._on_actor_lost(place, error)
            return
        assignment, place.work, place.ref = place.work, None, None
        if assignment is None:
            place.node, self._failed_starts = result, 0
            return
        self._journal.enter(Stage.SAVE_PART)
        self._adopt(assignment, result)
        yield assignment.remaining, result.counts

    def _adopt(self, assignment: _Assignment, saved: SavedPart) -> None:
        remaining, part = assignment.remaining, assignment.part
        if not remaining.store.adopt(part, saved.name):
            raise ClusterError(
                f"{remaining.job.target}: a node wrote part {part.index}, but it cannot be read here; name an output "
                "on a file system that all nodes share, or in a store"
            )
        self._journal.thread_seconds += saved.thread_seconds
        self._on_rows(part.rows)

    def _on_actor_lost(self, place: Any, error: Exception) -> None:  # noqa: ANN401 - as above
        """Decide what the loss of an actor means for its part."""
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        assignment: _Assignment | None = place.work
        if assignment is None:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                self._give_up(f"{FAILED_STARTS} actors in a row could not start: {_one_line(error)}")
            return
        if place.node in alive:  # else the node is to blame
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
        if self._pool.usable:
            self._served = now
        elif now - self._served > PATIENCE_S:
            self._give_up(f"no node had {self._threads} free processors for {PATIENCE_S:.0f} seconds")

    def _give_up(self, reason: str) -> NoReturn:
        raise ClusterError(f"{reason}; finished parts are kept; repair the cluster and run again")


def _one_line(error: Exception) -> str:
    """Return the beginning of what Ray says of a failure, in one line."""
    return " ".join(str(error).split())[:500]
