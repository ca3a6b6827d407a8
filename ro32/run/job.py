"""A job: the settings and inputs of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from ro32.data.papers import Columns
from ro32.data.parquet import DEFAULT_MAX_EXPANSION, unreadable
from ro32.data.row_groups import RowGroup, row_groups
from ro32.errors import TryAgainError, UsageError
from ro32.model.bundle_json import sha256
from ro32.model.classifier import Classifier
from ro32.model.processor import available_cores
from ro32.run.drift import DEFAULT_MAX_DRIFT
from ro32.run.plan import DEFAULT_PART_ROWS, Plan
from ro32.storage.client import StoreSettings
from ro32.storage.files import InputFile, Target, content_mark_of
from ro32.storage.urls import ObjectUrl, place


class OnError(StrEnum):
    """What to do about an input file that is not what it should be."""

    STOP = "stop"
    SKIP_FILE = "skip-file"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to score.

    Attributes:
        threads: Calling threads.
        part_rows: Rows of a part.
        columns: Names of the input's columns.
        categories_column: Column of what the papers are listed in, to measure the labels by, never to score; where none
            is named, "categories" if that is there.
        reuse: Earlier labels to take outcomes from; by default those at the target, where there are any.
        no_reuse: Score every text again.
        max_unscored: Largest share of rows without a score with which labels are published, 0 to 1.
        max_expansion: Uncompressed bytes that an input file may announce for each byte it has, at least 1.
        max_drift: Change of the share of positives, either way, above which a warning is due, 0 to 1.
        on_error: Whether a damaged file among several ends the run.
        strict_cascade: Fail, instead of warning, when the audit contradicts the cascade's certificate.
        stores: How object stores are asked.
    """

    threads: int = field(default_factory=available_cores)
    part_rows: int = DEFAULT_PART_ROWS
    columns: Columns = field(default_factory=Columns)
    categories_column: str | None = None
    reuse: Path | ObjectUrl | None = None
    no_reuse: bool = False
    max_unscored: float = 0.01
    max_expansion: float = DEFAULT_MAX_EXPANSION
    max_drift: float = DEFAULT_MAX_DRIFT
    on_error: OnError = OnError.STOP
    strict_cascade: bool = False
    stores: StoreSettings = field(default_factory=StoreSettings)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError(f"expected at least 1 thread, found {self.threads}")
        if self.part_rows < 1:
            raise UsageError(f"expected at least 1 row a part, found {self.part_rows}")
        if not 0 <= self.max_unscored <= 1:
            raise UsageError(f"expected a share of unscored rows between 0 and 1, found {self.max_unscored}")
        if not self.max_expansion >= 1:
            raise UsageError(f"expected a file to expand at least 1 time, found {self.max_expansion}")
        if not 0 <= self.max_drift <= 1:
            raise UsageError(f"expected a change of share between 0 and 1, found {self.max_drift}")
        if self.on_error not in list(OnError):
            raise UsageError(f"expected {' or '.join(OnError)} for damaged files, found {self.on_error!r}")
        if self.reuse is not None:  # a text, as `score_file` takes, becomes what it names
            object.__setattr__(self, "reuse", place(self.reuse))
        if self.reuse is not None and self.no_reuse:
            raise UsageError("labels to reuse were named, and reuse was switched off; do one of the two")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run: what to read, where the labels are to appear (links resolved), the model, and how to score."""

    plan: Plan
    target: Target
    classifier: Classifier
    settings: Settings

    @cached_property
    def row_groups(self) -> Mapping[InputFile, Sequence[RowGroup]]:
        """The row groups of each input file.

        Other forms, and objects in a store, count as one row group without a digest: an object would be sent twice.
        """
        return {
            source.path: (row_groups(source.path, self.plan.columns.names) if isinstance(source.path, Path) else None)
            or [RowGroup(rows=source.rows, digest=None)]
            for source in self.plan.sources
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hex of all that the parts depend on: runs of equal fingerprint may share finished parts.

        Of an input file that is its content, size and time, wherever it lies: a copy goes on where the first one was.

        Raises:
            TryAgainError: An input file is gone.
            ReadWriteError, InputMissingError: One cannot be read any more.
        """
        plan, sources = self.plan, []
        for source in plan.sources:
            try:
                sources.append((source.rows, source.identity[2:], content_mark_of(source.path)))
            except FileNotFoundError as error:
                raise TryAgainError(f"{source.path} is gone since the run began; run again when it is back") from error
            except OSError as error:
                raise unreadable(source.path, error) from error
        classifier = self.classifier
        model = classifier.scoring_digest, classifier.digest, classifier.decision  # the latter two for the labels
        settings = self.settings.part_rows, self.settings.no_reuse  # parts that hold reused outcomes are no fresh ones
        return sha256(repr((version("ro32"), sources, str(plan.id_type), plan.columns, settings, model)).encode())
