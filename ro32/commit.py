"""The commit: join the finished parts, reconcile them with the input, publish."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ro32.audit import Audit
from ro32.drift import Drift, Share
from ro32.errors import InputDataError, ReadWriteError
from ro32.job import Job
from ro32.journal import Journal
from ro32.labels import LabelsFile, RowsDigest, outcomes_of
from ro32.operating_point import Decision
from ro32.papers import read_ids
from ro32.parts import Counts, PartStore
from ro32.processor import processor_name
from ro32.speed import Speed


def commit(job: Job, store: PartStore, journal: Journal) -> None:
    """Publish the labels.

    Args:
        job: The run.
        store: Its parts, all of them finished.
        journal: Told how the scores are distributed, and how the share of positives has changed.

    Raises:
        InputDataError: More rows than allowed have no score, or a sample contradicts the cascade's certificate and
            the settings are strict about that.
        ReadWriteError: The parts do not add up to the input.
        TryAgainError: The input changed meanwhile.
        OSError: The disk is full or failed.
    """
    plan, target = job.plan, job.target
    counts, digest, screened = Counts(), RowsDigest(), 0
    with LabelsFile(target, plan.id_type) as labels:
        for part, ids in read_ids(plan.parts, plan.columns, plan.id_type):
            finished = store.load(part)
            if finished is None:
                raise ReadWriteError(f"{target}: part {part.index} was damaged on the disk; run again, it is done anew")
            if not finished.table.column("id").equals(ids):
                raise ReadWriteError(f"{target}: the ids of part {part.index} are not those of the input; run again")
            for batch in finished.table.to_batches():
                hashes, outcomes = outcomes_of(batch)
                digest.update(hashes, outcomes)
                journal.count_scores(outcomes.scores)
                screened += int(outcomes.screened.sum())
            labels.append(finished.table)
            counts += finished.counts
        unscored = sum(counts.unscored.values())
        if unscored > job.settings.max_unscored * counts.rows:
            raise InputDataError(
                f"{target}: {unscored:,} of {counts.rows:,} papers have no score ({_listed(counts)}), more than "
                f"{job.settings.max_unscored:.2%}; nothing was published; mend the input or raise --max-unscored"
            )
        plan.check_unchanged()
        _measure_drift(job, counts, journal)
        _audit(job, counts, journal)
        labels.commit(plan.rows, _provenance(job, counts, digest, screened, journal))
        journal.published = True


def _measure_drift(job: Job, counts: Counts, journal: Journal) -> None:
    """Compare the share of positives with that of the labels before."""
    journal.share = now = Share(positives=counts.positives, papers=counts.rows - sum(counts.unscored.values()))
    previous = journal.previous or {}
    before = Share.told_by(previous)
    if before is None or _same_model_decides_otherwise(job, previous):
        return
    journal.drift = drift = Drift(now=now, before=before, bound=job.settings.max_drift)
    if drift.exceeded:
        journal.warn(
            "drift",
            f"the share of {job.classifier.manifest.positive_label} moved by {100 * drift.change:+.2f} points, from "
            f"{before.value:.2%} of {before.papers:,} papers to {now.value:.2%} of {now.papers:,}: more than "
            f"--max-drift {drift.bound:g} allows, and not by chance (p = {drift.p_value:.1g}); look at what changed",
        )


def _audit(job: Job, counts: Counts, journal: Journal) -> None:
    """Compare what the sample of papers below the cut says with the bundle's certificate."""
    if job.screen is None:
        return
    certificate = job.screen.cascade.certificate
    journal.audit = audit = Audit(
        papers=counts.audited,
        disagreements=counts.disagreements,
        confidence=certificate.confidence,
        allowed=certificate.screened_bound,
    )
    if not audit.exceeded:
        return
    found = (
        f"{audit.disagreements:,} of {audit.papers:,} papers below the cascade's cut that were scored in full all the "
        f"same have another label, more than the {audit.allowed:.4%} that the bundle's certificate allows, and not by "
        f"chance (p = {audit.p_value:.1g})"
    )
    if job.settings.strict_cascade:
        raise InputDataError(
            f"{job.target}: {found}; nothing was published; these papers are unlike those of the certificate: "
            "score with --cascade off, or certify a cascade on papers like these"
        )
    journal.warn("cascade", f"{found}; score with --cascade off until you know why")


def _same_model_decides_otherwise(job: Job, previous: Mapping[str, Any]) -> bool:
    """Tell whether somebody chose another operating point: a share that moves is what they wanted."""
    decision = job.classifier.decision
    return previous.get("scoring_digest") == job.classifier.scoring_digest and (
        previous.get("threshold"),
        (previous.get("operating_point") or {}).get("abstain"),
    ) != (decision.threshold, _operating_point(decision)["abstain"])


def _operating_point(decision: Decision) -> dict[str, Any]:
    """Tell how the threshold was chosen: JSON values."""
    return {
        "chosen_by": decision.chosen_by,
        "target": decision.target,
        "validated": asdict(decision.validated) if decision.validated else None,
        "abstain": list(decision.abstain) if decision.abstain else None,
    }


def _listed(counts: Counts) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.unscored.items()))


def _provenance(job: Job, counts: Counts, digest: RowsDigest, screened: int, journal: Journal) -> dict[str, Any]:
    """Tell what made this labels file, of whose rows so many were screened: JSON values for its footer."""
    manifest, decision, settings = job.classifier.manifest, job.classifier.decision, job.settings
    return {
        "run_id": journal.run_id,
        "tool_version": version("ro32"),
        "bundle": manifest.name,
        "bundle_digest": job.classifier.digest,
        "scoring_digest": job.classifier.scoring_digest,
        "labels": list(manifest.labels),
        "positive_label": manifest.positive_label,
        "view": manifest.view,
        "threshold": decision.threshold,
        "operating_point": _operating_point(decision),
        "max_length": manifest.max_length,
        "cascade": None if job.screen is None else {"digest": job.screen.digest, "screened_rows": screened},
        "input_digest": job.plan.digest,
        "input_files": [{"name": source.path.name, "rows": source.rows} for source in job.plan.sources],
        "skipped_files": [asdict(file) for file in journal.skipped],
        "rows_digest": digest.hexdigest(),
        "rows": asdict(counts),
        "started": journal.started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "speed": asdict(Speed.measured(journal)),
        "settings": {"threads": settings.threads, "part_rows": settings.part_rows, "columns": asdict(settings.columns)},
        "onnxruntime_version": version("onnxruntime"),
        "python_version": platform.python_version(),
        "processor": processor_name(),
    }
