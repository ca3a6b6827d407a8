"""The commit: join the finished parts, reconcile them with the input, publish."""

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from ro32.data.labels import LabelsFile, RowsDigest, outcomes_of
from ro32.data.papers import Part
from ro32.data.part_reader import read_ids
from ro32.data.writers import Form, form_of
from ro32.errors import InputDataError, ReadWriteError, check_interrupted
from ro32.model.processor import processor_name
from ro32.run.job import Job
from ro32.run.journal import Journal
from ro32.run.newest import Collector
from ro32.run.parts import PartStore, RowCounts


def commit(job: Job, store: PartStore, newest: Collector, journal: Journal, check: Callable[[RowCounts], None]) -> None:
    """Publish a labels file from its finished parts, and record the scores in the journal.

    Args:
        job: What it is made from.
        store: Its parts.
        newest: Collects its newest papers.
        journal: The journal.
        check: Called with what became of the rows before anything is published; raises what speaks against that.

    Raises:
        ReadWriteError: The parts do not add up to the input.
        TryAgainError: The input changed meanwhile.
        Interrupted: A signal came.
        OSError: The disk is full or failed.
    """
    plan, target = job.plan, job.target
    counts, digest, screened = RowCounts(), RowsDigest(), 0
    with LabelsFile(target, plan.id_type) as labels:
        for part, ids in _read_ids(job, newest, journal):
            finished = store.load(part)
            if finished is None:
                raise ReadWriteError(
                    f"{target}: part {part.index} was damaged on the disk; run again to score it again"
                )
            if not _same(finished.table.column("id"), ids):
                raise ReadWriteError(f"{target}: the ids of part {part.index} are not those of the input; run again")
            scores = []
            for batch in finished.table.to_batches():
                hashes, outcomes = outcomes_of(batch)
                digest.update(hashes, outcomes)
                journal.count_scores(outcomes.scores)
                scores.append(outcomes.scores)
                screened += int(outcomes.screened.sum())
            newest.add(np.concatenate(scores))
            labels.append(finished.table)
            counts += finished.counts
        plan.check_unchanged()
        check(counts)
        check_interrupted()
        labels.commit(plan.rows, _provenance(job, counts, digest, screened, journal))


def _read_ids(job: Job, newest: Collector, journal: Journal) -> Iterator[tuple[Part, pa.ChunkedArray]]:
    """Read the ids, and with them the categories until these cannot be read."""
    plan, done = job.plan, 0
    try:
        for part in read_ids(plan.parts, plan.columns, plan.id_type, newest.columns, newest.look):
            done += 1
            yield part
    except InputDataError as error:
        if not any(newest.columns.values()):
            raise
        newest.columns = {}
        journal.warn("not_measured", f"the labels are not compared with the categories of the papers: {error}")
        yield from read_ids(plan.parts[done:], plan.columns, plan.id_type)


def _same(found: pa.ChunkedArray, expected: pa.ChunkedArray) -> bool:
    """Compare ids by value: dictionaries of the same values may be different ones."""
    if pa.types.is_dictionary(expected.type):
        found, expected = (ids.cast(expected.type.value_type) for ids in (found, expected))
    return bool(found.equals(expected))


def origin_of(job: Job, journal: Journal) -> dict[str, Any]:
    """Return run, model and input of labels: JSON values for the footer of a file, and for a folder's manifest."""
    classifier = job.classifier
    return {
        "run_id": journal.run_id,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "tool_version": version("ro32"),
        "bundle": classifier.manifest.name,
        "bundle_digest": classifier.digest,
        "scoring_digest": classifier.scoring_digest,
        "positive_label": classifier.manifest.positive_label,
        "threshold": classifier.decision.threshold,
        "input_digest": job.plan.digest,
        "skipped_files": [asdict(file) for file in journal.skipped],
    }


def _row_groups(job: Job) -> list[tuple[int, str | None]]:
    """Return rows and digest of each row group, in the order of the labels; only Parquet has a footer to keep them."""
    groups = chain.from_iterable(job.row_groups.values()) if form_of(job.target) is Form.PARQUET else ()
    return [(group.rows, group.digest) for group in groups]


def _provenance(job: Job, counts: RowCounts, digest: RowsDigest, screened: int, journal: Journal) -> dict[str, Any]:
    """Return the provenance of this labels file: JSON values for its footer."""
    manifest, settings = job.classifier.manifest, job.settings
    return origin_of(job, journal) | {
        "labels": list(manifest.labels),
        "view": manifest.view,
        "operating_point": {key: value for key, value in asdict(job.classifier.decision).items() if key != "threshold"},
        "max_length": manifest.max_length,
        "full": job.classifier.full,
        "screened_rows": screened,
        "input_files": [{"name": source.path.name, "rows": source.rows} for source in job.plan.sources],
        "rows_digest": digest.hexdigest(),
        "row_groups": _row_groups(job),
        "rows": asdict(counts),
        "engine": journal.engine,
        "started": journal.started.isoformat(timespec="seconds"),
        "settings": {"threads": settings.threads, "part_rows": settings.part_rows, "columns": asdict(settings.columns)},
        "onnxruntime_version": version("onnxruntime"),
        "python_version": platform.python_version(),
        "processor": processor_name(),
    }
