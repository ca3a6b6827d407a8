"""Progress on stderr: a bar on a terminal, otherwise a line every 30 seconds."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, astuple
from typing import Self

from tqdm import tqdm

from ro32.run.walk import Progress

LOG_EVERY_S = 30.0
"""Seconds between two lines in a log: a line a minute reads as a hang, one a second fills the disk."""


class ProgressDisplay:
    """Shows how far a run has come, on stderr. Used as a context manager.

    `on_line` gets each line, its text and its numbers by name, instead of stderr; there is no bar then.
    """

    def __init__(self, *, quiet: bool = False, on_line: Callable[..., None] | None = None) -> None:
        self._stream = sys.stderr
        self._quiet = quiet
        self._on_line = on_line
        self._bar: tqdm | None = None
        self._logged = time.monotonic()
        self._begun: tuple[float, int] | None = None  # time and papers done at the first update: many if resumed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def count(self, papers: int) -> Callable[[int], None]:
        """Return a function that shows how far one part of so many papers is, given the number of newly done rows."""
        done_rows = 0

        def show(rows: int) -> None:
            nonlocal done_rows
            done_rows += rows
            self.update(Progress(papers=papers, papers_done=done_rows, parts=1, parts_done=0))

        return show

    def update(self, progress: Progress) -> None:
        """Show the state of the run."""
        if self._quiet:
            return
        papers, papers_done, parts, parts_done = astuple(progress)
        self._begun = self._begun or (time.monotonic(), papers_done)
        started, before = self._begun
        if self._stream.isatty() and self._on_line is None:
            if self._bar is None:
                self._bar = tqdm(
                    total=papers,
                    initial=papers_done,
                    unit=" papers",
                    file=self._stream,
                    dynamic_ncols=True,
                    smoothing=0.1,
                )
            self._bar.set_postfix_str(f"part {min(parts_done + 1, parts)}/{parts}", refresh=False)
            self._bar.update(papers_done - self._bar.n)
        elif time.monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = time.monotonic()
            rate = (papers_done - before) / max(self._logged - started, 1e-9)
            left = f"{(papers - papers_done) / rate / 60:.0f} min left" if rate else "time left unknown"
            line = f"{papers_done:,} of {papers:,} papers, {parts_done} of {parts} parts, {rate:.1f} papers/s, {left}"
            if self._on_line is None:
                print(line, file=self._stream, flush=True)
            else:
                self._on_line(line, **asdict(progress))
