"""How fast a run was, in two rates that foretell how long the next one takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

from ro32.model.processor import processor_name
from ro32.model.screen import Screen
from ro32.run.journal import Journal, Stage

MIN_PAPERS = 500
"""Papers that a rate must rest on: fewer say more about the start of a run than about its speed."""
_BESIDE_THE_MODEL = (Stage.REUSE, Stage.READ, Stage.LOOK_UP, Stage.LABEL, Stage.KEEP, Stage.COMMIT)
"""Stages whose time grows with the rows, whether or not they need the model."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Two rates of one processor.

    Attributes:
        papers_per_thread_s: Papers a second that one thread scored, screened ones among them; None where too few were.
        rows_per_s: Rows a second that one thread read, looked up, labelled and wrote; None where too few were.
    """

    papers_per_thread_s: float | None = None
    rows_per_s: float | None = None

    @classmethod
    def measured(cls, journal: Journal) -> Self:
        """Take the rates of a run, and those that it was too small to measure from the labels before it."""
        seconds, done = journal.seconds(), journal.done
        beside = sum(seconds[stage] for stage in _BESIDE_THE_MODEL)
        job = journal.job
        known = cls.told_by(journal.previous, job.classifier.scoring_digest, job.screen) if job else cls()
        if journal.engine != "local":  # what other machines do says little about this one
            return known
        return cls(
            papers_per_thread_s=_rate(done.scored, journal.thread_seconds) or known.papers_per_thread_s,
            rows_per_s=_rate(done.rows, beside) or known.rows_per_s,
        )

    @classmethod
    def told_by(cls, provenance: Mapping[str, Any] | None, scoring_digest: str, screen: Screen | None = None) -> Self:
        """Read the rates from the footer of a labels file.

        Args:
            provenance: The footer, if there is any. Rates of another processor are no use.
            scoring_digest: The model that is to be as fast.
            screen: Its screen, if it is to have one.
        """
        told = provenance or {}
        rates = told.get("speed")
        if told.get("processor") != processor_name() or not isinstance(rates, Mapping):
            return cls()
        same_screen = (told.get("cascade") or {}).get("digest") == (None if screen is None else screen.digest)
        same_model = told.get("scoring_digest") == scoring_digest and same_screen
        return cls(
            papers_per_thread_s=_number(rates.get("papers_per_thread_s")) if same_model else None,
            rows_per_s=_number(rates.get("rows_per_s")),
        )

    def seconds(self, *, rows: int, to_score: int, threads: int) -> float | None:
        """Foretell the wall-clock seconds of a run; None where the rates it needs are unknown.

        Args:
            rows: Rows to read.
            to_score: Rows among them that need the model.
            threads: Threads that score.
        """
        if self.rows_per_s is None or (to_score and self.papers_per_thread_s is None):
            return None
        model = to_score / (self.papers_per_thread_s * threads) if self.papers_per_thread_s else 0.0
        return rows / self.rows_per_s + model


def _rate(count: int, seconds: float) -> float | None:
    return count / seconds if count >= MIN_PAPERS and seconds > 0 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) and value > 0 else None
