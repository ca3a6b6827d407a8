"""The actors of a run: their number, their states (starting, free, busy), and lost actors.

Actors are not restarted by Ray, nor are their calls: a new actor may start on any node, and who is to blame for a
death is decided by `ro32.cluster.ray_engine`.
"""

import os
from dataclasses import dataclass
from typing import Any

import ray

from ro32.data.papers import Part
from ro32.run.engine import Remaining


class Actor:
    """What Ray runs on a node: one worker.

    Args:
        threads: Threads of the worker. Libraries with thread pools of their own get the number before they are loaded.
    """

    def __init__(self, threads: int) -> None:
        os.environ["POLARS_MAX_THREADS"] = str(threads)

    def load(self, model: Any, worker: type) -> str:  # noqa: ANN401 - its type would load what __init__ must precede
        """Make the worker, and return the id of the node that it is on."""
        self._worker = worker(model)
        return str(ray.get_runtime_context().get_node_id())

    def score(self, *args: Any) -> Any:  # noqa: ANN401 - as above
        """Score a part."""
        return self._worker.score(*args)


@dataclass(kw_only=True)
class Assignment:
    """A part on its way: its labels file, the reference to the outcomes that need no model, the workers it killed."""

    remaining: Remaining
    part: Part
    previous: Any
    strikes: int = 0


@dataclass(kw_only=True)
class PooledActor:
    """An actor and what it does now.

    Attributes:
        handle: The actor.
        ref: What it is to return next; None if it is free.
        work: What it works on; None while it starts, and when it is free.
        node: Where it is; None while it starts.
    """

    handle: Any
    ref: Any
    work: Assignment | None = None
    node: str | None = None


class ActorPool:
    """Actors that come and go with the work there is.

    Args:
        model: Reference to what a worker is made of. Ray brings it to each node once.
        worker: Class of the workers.
        threads: Threads, and so processors, of an actor.
        least: Actors that are there as long as the pool is.
        most: Actors that are there when there is work for as many.
    """

    def __init__(self, *, model: Any, worker: type, threads: int, least: int, most: int) -> None:  # noqa: ANN401
        self._model, self._worker = model, worker
        self._threads, self._least, self.most = threads, least, most
        self._remote = ray.remote(num_cpus=threads, max_restarts=0, max_task_retries=0)(Actor)
        self._actors: list[PooledActor] = []

    @property
    def busy(self) -> int:
        """Actors that work on something."""
        return sum(actor.work is not None for actor in self._actors)

    @property
    def started(self) -> bool:
        """Whether there is an actor that has started."""
        return any(actor.node is not None for actor in self._actors)

    def resize(self, wanted: int) -> None:
        """Start actors until as many are there as there is work for, or end free ones."""
        size = min(self.most, max(self._least, wanted))
        while len(self._actors) < size:
            handle: Any = self._remote.remote(self._threads)
            self._actors.append(PooledActor(handle=handle, ref=handle.load.remote(self._model, self._worker)))
        for actor in [actor for actor in self._actors if actor.work is None][: len(self._actors) - size]:
            self.end(actor)

    def free(self) -> list[PooledActor]:
        """Return the actors that have started and have nothing to do."""
        return [actor for actor in self._actors if actor.ref is None]

    def wait(self, timeout_s: float) -> list[PooledActor]:
        """Return the actors that have a result, at the latest when the time is up."""
        waiting = {actor.ref: actor for actor in self._actors if actor.ref is not None}
        if not waiting:
            return []
        ready, _ = ray.wait(list(waiting), num_returns=1, timeout=timeout_s, fetch_local=False)
        return [waiting[ref] for ref in ready]

    def end(self, actor: PooledActor) -> None:
        """Let an actor go, whatever it does; also one that is dead."""
        self._actors.remove(actor)
        ray.kill(actor.handle)

    def close(self) -> None:
        """Let all actors go."""
        for actor in list(self._actors):
            self.end(actor)
