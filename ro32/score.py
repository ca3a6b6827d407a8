"""The walk: plan parts, score each, commit."""

import hashlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ro32.classifier import Classifier
from ro32.errors import OutputError, UsageError
from ro32.labels import LabelsFile, label_table
from ro32.papers import Columns, Papers
from ro32.plan import DEFAULT_PART_ROWS, Plan, find_files, make_plan
from ro32.processor import available_cores, processor_name
from ro32.threads import Scored, score_parts


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to score.

    Attributes:
        threads: Calling threads.
        part_rows: Rows of a part.
        columns: Names of the input's columns.
    """

    threads: int = field(default_factory=available_cores)
    part_rows: int = DEFAULT_PART_ROWS
    columns: Columns = field(default_factory=Columns)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError(f"expected at least 1 thread, found {self.threads}")
        if self.part_rows < 1:
            raise UsageError(f"expected at least 1 row a part, found {self.part_rows}")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come. All counts are of papers, but for the parts."""

    papers: int
    papers_done: int
    parts: int
    parts_done: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        rows: Rows of the input, and of the output.
        positives: Papers that got the positive label.
        unscored: Papers without a score, by reason.
        tokens: Tokens that the model saw, special tokens included.
        seconds: Wall-clock time from reading the first footer to the commit.
    """

    rows: int
    positives: int
    unscored: Counter[str]
    tokens: int
    seconds: float

    @property
    def papers_per_s(self) -> float:
        """Rows a second, end to end."""
        return self.rows / self.seconds

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second, end to end."""
        return self.tokens / self.seconds


def score_file(
    inputs: Sequence[str],
    target: Path,
    *,
    classifier: Classifier,
    settings: Settings | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Label every paper of the input.

    Args:
        inputs: Parquet files, folders or glob patterns; together they are one input, sorted by name.
        target: The labels file. It appears whole or not at all; one that is there is replaced.
        classifier: The model.
        settings: How to score.
        on_progress: Called in this thread whenever papers are done.

    Raises:
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for.
        OutputError: The target cannot be created, or is one of the input files.
        ReadWriteError: The disk failed half-way.
    """
    settings = settings or Settings()
    started, clock = datetime.now(UTC), time.monotonic()
    plan = make_plan(find_files(inputs), settings.columns, settings.part_rows)
    _check_target(target, plan)
    tally = _Tally()

    def advance(papers: int = 0, parts: int = 0) -> None:
        tally.papers_done += papers
        tally.parts_done += parts
        on_progress(
            Progress(
                papers=plan.rows, papers_done=tally.papers_done, parts=len(plan.parts), parts_done=tally.parts_done
            )
        )

    advance()
    with LabelsFile(target, plan.id_type) as labels:
        for papers, scored in score_parts(plan, classifier, settings.threads, advance):
            table = label_table(papers, scored.scores, scored.errors, classifier.manifest)
            labels.append(table)
            tally.add(papers, scored, classifier.manifest.threshold)
            advance(parts=1)
        labels.commit(plan.rows, _provenance(plan, classifier, settings, tally, started))
    return Summary(
        rows=plan.rows,
        positives=tally.positives,
        unscored=tally.unscored,
        tokens=tally.tokens,
        seconds=time.monotonic() - clock,
    )


@dataclass(kw_only=True)
class _Tally:
    """Counts that grow while a run goes on."""

    papers_done: int = 0
    parts_done: int = 0
    positives: int = 0
    tokens: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    input_digest: Any = field(default_factory=hashlib.sha256)

    def add(self, papers: Papers, scored: Scored, threshold: float) -> None:
        self.positives += sum(score is not None and score >= threshold for score in scored.scores)
        self.tokens += scored.tokens
        self.unscored.update(error for error in scored.errors if error is not None)
        for paper_id, digest in zip(papers.ids.to_pylist(), papers.hashes, strict=True):
            self.input_digest.update(f"{paper_id!r}\n".encode() + digest)


def _provenance(
    plan: Plan, classifier: Classifier, settings: Settings, tally: _Tally, started: datetime
) -> dict[str, Any]:
    """Tell what made this labels file: JSON values for its footer."""
    manifest = classifier.manifest
    return {
        "tool_version": version("ro32"),
        "bundle": manifest.name,
        "bundle_digest": classifier.digest,
        "labels": list(manifest.labels),
        "positive_label": manifest.positive_label,
        "threshold": manifest.threshold,
        "max_length": manifest.max_length,
        "input_digest": tally.input_digest.hexdigest(),
        "input_files": [{"name": source.path.name, "rows": source.rows} for source in plan.sources],
        "rows": {
            "total": plan.rows,
            "scored": plan.rows - tally.unscored.total(),
            "positive": tally.positives,
            "unscored": dict(tally.unscored),
        },
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": asdict(settings),
        "onnxruntime_version": version("onnxruntime"),
        "python_version": platform.python_version(),
        "processor": processor_name(),
    }


def _check_target(target: Path, plan: Plan) -> None:
    """Refuse a target that is a folder, or one of the input files under any name."""
    if target.is_dir():
        raise OutputError(f"{target} is a folder; name a file in it")
    if not target.exists():
        return
    for source in plan.sources:
        if source.path.samefile(target):  # compares device and inode: sees through links of both kinds
            raise OutputError(f"{target} is the input file {source.path} itself; name another file")
