"""The commit: join the finished parts, reconcile them with the input, publish."""

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ro32.errors import InputDataError, ReadWriteError
from ro32.job import Job
from ro32.labels import LabelsFile, RowsDigest, outcomes_of
from ro32.papers import read_ids
from ro32.parts import Counts, PartStore
from ro32.processor import processor_name


def commit(job: Job, store: PartStore) -> Counts:
    """Publish the labels.

    Args:
        job: The run.
        store: Its parts, all of them finished.

    Raises:
        InputDataError: More rows than allowed have no score.
        ReadWriteError: The parts do not add up to the input.
        TryAgainError: The input changed meanwhile.
        OSError: The disk is full or failed.
    """
    plan, target = job.plan, job.target
    counts, digest = Counts(), RowsDigest()
    with LabelsFile(target, plan.id_type) as labels:
        for part, ids in read_ids(plan.parts, plan.columns, plan.id_type):
            finished = store.load(part)
            if finished is None:
                raise ReadWriteError(f"{target}: part {part.index} was damaged on the disk; run again, it is done anew")
            if not finished.table.column("id").equals(ids):
                raise ReadWriteError(f"{target}: the ids of part {part.index} are not those of the input; run again")
            for batch in finished.table.to_batches():
                digest.update(*outcomes_of(batch))
            labels.append(finished.table)
            counts += finished.counts
        unscored = sum(counts.unscored.values())
        if unscored > job.settings.max_unscored * counts.rows:
            raise InputDataError(
                f"{target}: {unscored:,} of {counts.rows:,} papers have no score ({_listed(counts)}), more than "
                f"{job.settings.max_unscored:.2%}; nothing was published; mend the input or raise --max-unscored"
            )
        plan.check_unchanged()
        labels.commit(plan.rows, _provenance(job, counts, digest))
    return counts


def _listed(counts: Counts) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.unscored.items()))


def _provenance(job: Job, counts: Counts, digest: RowsDigest) -> dict[str, Any]:
    """Tell what made this labels file: JSON values for its footer."""
    manifest, settings = job.classifier.manifest, job.settings
    return {
        "tool_version": version("ro32"),
        "bundle": manifest.name,
        "bundle_digest": job.classifier.digest,
        "scoring_digest": job.classifier.scoring_digest,
        "labels": list(manifest.labels),
        "positive_label": manifest.positive_label,
        "view": manifest.view,
        "threshold": manifest.threshold,
        "max_length": manifest.max_length,
        "input_digest": job.plan.digest,
        "input_files": [{"name": source.path.name, "rows": source.rows} for source in job.plan.sources],
        "rows_digest": digest.hexdigest(),
        "rows": asdict(counts),
        "started": job.started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {"threads": settings.threads, "part_rows": settings.part_rows, "columns": asdict(settings.columns)},
        "onnxruntime_version": version("onnxruntime"),
        "python_version": platform.python_version(),
        "processor": processor_name(),
    }
