"""Shows the progress of a run, and records its measurements."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ro32.storage import durable

METRICS = "metrics.jsonl"
SECONDS_PER_LINE = 30.0
"""Between two lines of progress where stderr is no terminal."""


class Watch:
    """A progress bar on stderr if it is a terminal, a line now and then elsewhere; and metrics.jsonl."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._stream, self._quiet = sys.stderr, quiet
        self._bar: tqdm | None = None
        self._shown = time.monotonic()
        self._metrics: Path | None = None

    def begin(self, what: str, total: int, *, done: int = 0) -> None:
        """Start a stage of `total` papers, of which some may be done already."""
        self.end()
        self._bar = tqdm(
            desc=what,
            total=total,
            initial=done,
            unit=" papers",
            file=self._stream,
            disable=self._quiet or not self._stream.isatty(),
            dynamic_ncols=True,
            smoothing=0.1,
        )
        self._what, self._total, self._done, self._started, self._first = what, total, done, time.monotonic(), done
        self.say(f"{what}: {total:,} papers" + (f", {done:,} done before" if done else ""), only_log=True)

    def advance(self, papers: int, note: str = "") -> None:
        """Tell that so many papers are done, with what there is to say about them."""
        if self._bar is None:
            return
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(papers)
        self._done += papers
        now = time.monotonic()
        if now - self._shown >= SECONDS_PER_LINE:
            rate = (self._done - self._first) / max(now - self._started, 1e-9)
            left = (self._total - self._done) / rate / 60 if rate else 0.0
            line = f"{self._what}: {self._done:,} of {self._total:,}, {rate:.1f}/s, {left:.0f} min left"
            self.say(f"{line}{', ' if note else ''}{note}", only_log=True)

    def end(self) -> None:
        """Close the stage."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def say(self, text: str, *, only_log: bool = False) -> None:
        """Write a line, above the bar if there is one; none on a terminal whose bar tells as much."""
        if self._quiet or (only_log and self._stream.isatty()):
            return
        self._shown = time.monotonic()
        tqdm.write(text, file=self._stream)
        self._stream.flush()

    def open_metrics(self, folder: Path, *, step: int, results: int) -> None:
        """Write measures to metrics.jsonl from here on.

        What a run that broke wrote after its last save, at so many steps and evaluations, is dropped.
        """
        self._metrics = folder / METRICS
        text = self._metrics.read_text() if self._metrics.exists() else ""
        # Without what a power failure left: half a line, or zeros.
        whole = (line for line in text.splitlines(keepends=True) if line.startswith("{") and line.endswith("}\n"))
        kept = [line for line in map(json.loads, whole) if line["step"] <= step]
        evaluated = [line for line in kept if "training_loss" in line][:results]
        kept = [line for line in kept if "training_loss" not in line or line in evaluated]
        durable.write(self._metrics, "".join(f"{json.dumps(line)}\n" for line in kept).encode())

    def record(self, measures: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        if self._metrics is not None:
            with self._metrics.open("a") as file:
                file.write(json.dumps(measures) + "\n")
