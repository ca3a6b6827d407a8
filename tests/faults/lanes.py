"""Two processes at a time: one lane a core, each with a fork server and scenes of its own."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

import polars as pl

from ro32.model.processor import available_cores
from tests.faults.runs import ForkServer
from tests.faults.scene import Scene, State

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What one thread of the tests works with.

    Attributes:
        server: Runs processes.
        folder: For files of this lane alone.
        scenes: One for each state.
    """

    server: ForkServer
    folder: Path
    scenes: dict[State, Scene]


class Lanes:
    """All lanes, started. Used as a context manager.

    Args:
        folder: An empty folder.
        bundle: The model of the scenes.
        papers: The rows of their input.
    """

    def __init__(self, folder: Path, *, bundle: Path, papers: pl.DataFrame) -> None:
        self._stack = ExitStack()
        self._free: SimpleQueue[Lane] = SimpleQueue()
        self._pool = self._stack.enter_context(ThreadPoolExecutor(min(2, available_cores())))
        for number in range(self._pool._max_workers):
            scenes = {}
            for state in State:
                place = folder / f"{number}" / state
                place.mkdir(parents=True)
                scenes[state] = Scene.make(place, bundle=bundle, papers=papers, state=state)
            server = self._stack.enter_context(ForkServer())
            self._free.put(Lane(server=server, folder=folder / f"{number}", scenes=scenes))
        self.why_no_faults = server.why_no_faults

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def each(self, items: Iterable[Item], work: Callable[[Lane, Item], None]) -> None:
        """Do something with each of some items, on whichever lane is free; the first that fails fails."""

        def on_a_lane(item: Item) -> None:
            lane = self._free.get()
            try:
                work(lane, item)
            except AssertionError as error:
                error.add_note(f"at {item}")
                raise
            finally:
                self._free.put(lane)

        futures = [self._pool.submit(on_a_lane, item) for item in items]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()
