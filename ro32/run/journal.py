"""The journal of a run: the walk records its progress here, and reports read it, however the run ends."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ro32.run.audit import Audit
from ro32.run.drift import Drift, Share
from ro32.run.job import Job
from ro32.run.newest import Collector
from ro32.run.parts import RowCounts

HISTOGRAM_BINS = 20
"""Bins of equal width between a score of 0 and 1."""


class Stage(StrEnum):
    """Where the time of a run goes, in the order in which the stages first come."""

    MODEL = "model"
    """Reading and checking the bundle."""
    PLAN = "plan"
    """Finding the input files, reading their footers, checking the output."""
    VERIFY = "verify"
    """Decoding every input file once, where damaged ones are to be skipped."""
    REUSE = "reuse"
    """Reading earlier labels."""
    RESUME = "resume"
    """Reading the finished parts of a killed run."""
    READ = "read"
    """Decoding, normalizing and digesting papers."""
    LOOK_UP = "look_up"
    """Finding out which of them need the model."""
    SCORE = "score"
    """Waiting for the model: what its threads do while the stages above and below go on is not in it."""
    LABEL = "label"
    """Putting labels together."""
    SAVE_PART = "save_part"
    """Writing finished parts."""
    COMMIT = "commit"
    """Joining the parts, checking them against the input, publishing."""


WarningKind = Literal[
    "not_read",
    "not_listed",
    "same_file",
    "unreadable_rows",
    "not_reused",
    "skipped_file",
    "isolated_part",
    "gone",
    "drift",
    "cascade",
    "not_certified",
    "not_measured",
    "aged",
    "unknown_variable",
    "no_report",
]


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something that an operator should know although the run went on; the message is one sentence."""

    kind: WarningKind
    message: str


@dataclass(frozen=True, kw_only=True)
class SkippedFile:
    """An input file that was left out, and what is wrong with it."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class IsolatedPart:
    """A part that killed every worker that it was given to, by file, first row there and number of rows.

    `reason` is what is known of the last death.
    """

    path: str
    start: int
    rows: int
    reason: str


@dataclass(kw_only=True)
class FolderChanges:
    """How many labels files of a folder a run left, wrote and removed.

    `files` are those of the input, and `gone` those without input whose removal nobody asked for.
    """

    files: int
    unchanged: int = 0
    replaced: int = 0
    removed: int = 0
    gone: int = 0


def new_run_id() -> str:
    """Return an identifier that sorts by time and that no other run has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


@dataclass(kw_only=True)
class Journal:
    """What is known of a run so far. Written by one thread.

    Attributes:
        on_warning: Called with each warning when it comes up.
        run_id: Identifies the run in its logs, report and footer.
        spool: How the names of files that stand for pipes begin; messages leave it out.
        started: When it began, in UTC.
        stage: Where it is now.
        job: What it was asked for, as soon as that is planned.
        engine: What scores the parts.
        unchanged: Of the rows of input files that did not change, and whose labels stay as they are.
        resumed: Of the rows of parts that an earlier run had finished.
        done: Of the rows that this run finished.
        thread_seconds: Time that all threads together spent on scoring.
        histogram: Shape (HISTOGRAM_BINS,): papers by score, filled by the commit.
        share: The share of positives, measured by the commit.
        drift: The same against the labels before, where there were any.
        audit: What the sample of papers below the screen's cut said, where there is a screen.
        newest: The newest papers and what they are listed in, collected by the commit; None if that cannot be read.
        quality: How their labels compare with that, JSON values, where `ro32.monitor.quality` measured it.
        folder: What became of the labels files, where the output is a folder.
        published: Whether the labels are in place.
    """

    on_warning: Callable[[Warned], None] = lambda _: None
    run_id: str = field(default_factory=new_run_id)
    spool: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    stage: Stage = Stage.MODEL
    job: Job | None = None
    engine: str = "local"
    unchanged: RowCounts = field(default_factory=RowCounts)
    resumed: RowCounts = field(default_factory=RowCounts)
    done: RowCounts = field(default_factory=RowCounts)
    thread_seconds: float = 0.0
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(HISTOGRAM_BINS, dtype=np.int64))
    share: Share | None = None
    drift: Drift | None = None
    audit: Audit | None = None
    newest: Collector | None = None
    quality: Mapping[str, Any] | None = None
    skipped: list[SkippedFile] = field(default_factory=list)
    isolated: list[IsolatedPart] = field(default_factory=list)
    folder: FolderChanges | None = None
    warnings: list[Warned] = field(default_factory=list)
    published: bool = False

    def __post_init__(self) -> None:
        self._spent = dict.fromkeys(Stage, 0.0)
        self._since = time.monotonic()

    @property
    def counts(self) -> RowCounts:
        """What became of all rows so far."""
        return self.unchanged + self.resumed + self.done

    def enter(self, stage: Stage) -> None:
        """Count time from now on to another stage."""
        now = time.monotonic()
        self._spent[self.stage] += now - self._since
        self.stage, self._since = stage, now

    def seconds(self) -> dict[Stage, float]:
        """Return the wall-clock seconds of each stage so far; they add up to the time since the journal began."""
        self.enter(self.stage)
        return dict(self._spent)

    def warn(self, kind: WarningKind, message: str) -> None:
        """Note a warning, and show it."""
        warned = Warned(kind=kind, message=message.replace(self.spool, ""))
        self.warnings.append(warned)
        self.on_warning(warned)

    def count_scores(self, scores: NDArray[np.float32]) -> None:
        """Add published scores, shape (n,), to the histogram; NaN counts nowhere."""
        self.histogram += np.histogram(scores[np.isfinite(scores)], bins=HISTOGRAM_BINS, range=(0, 1))[0]
