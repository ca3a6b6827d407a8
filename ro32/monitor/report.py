"""The report of a run: its settings, results and exit code. docs/report.md describes every field."""

import platform
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from ro32.data.labels import read_provenance
from ro32.errors import Ro32Error
from ro32.folder.manifest import read_manifest
from ro32.model.processor import available_cores, peak_rss_bytes, processor_name
from ro32.run.job import Job
from ro32.run.journal import FolderChanges, Journal
from ro32.storage.client import StoreSettings
from ro32.storage.folders import LocalFolder, ObjectFolder
from ro32.storage.object_target import ObjectTarget
from ro32.storage.urls import ObjectUrl

REPORT_VERSION = 1  # raised when a field changes its meaning or goes; new fields leave it as it is

_PACKAGES = ("ro32", "numpy", "onnxruntime", "polars", "pyarrow", "tokenizers")


def make_report(journal: Journal, target: Path | ObjectUrl, *, exit_code: int, error: str | None) -> dict[str, Any]:
    """Describe a run that has ended, as JSON values; every field is there, and null if a run did not come so far."""
    seconds = {str(stage): spent for stage, spent in journal.seconds().items()}
    total = sum(seconds.values())
    return {
        "report_version": REPORT_VERSION,
        "run_id": journal.run_id,
        "exit_code": exit_code,
        "error": error,
        "failed_in": None if error is None else str(journal.stage),
        "published": journal.published,
        "started": journal.started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": total,
        "stages": seconds,
        "engine": journal.engine,
        "papers": asdict(journal.counts) | {"resumed": journal.resumed.rows},
        "speed": _speed(journal, total),
        "peak_rss_bytes": peak_rss_bytes(),
        "score_histogram": journal.histogram.tolist() if journal.published else None,
        "positives": _positives(journal),
        "cascade": _cascade(journal),
        "quality": journal.quality,
        "warnings": [asdict(warned) for warned in journal.warnings],
        "input": _input(journal),
        "labels": _labels(target, journal),
        "folder": {field.name: getattr(journal.folder, field.name, None) for field in fields(FolderChanges)},
        "model": _model(journal.job),
        "settings": _settings(journal.job),
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "host": {"name": socket.gethostname(), "processor": processor_name(), "cores": available_cores()},
    }


def _speed(journal: Journal, total: float) -> dict[str, float | None]:
    threads = journal.job.settings.threads if journal.job else 1
    model_seconds = journal.thread_seconds / threads

    def rate(count: int, seconds: float) -> float | None:
        return count / seconds if count and seconds > 0 else None

    return {
        "papers_per_s": rate(journal.done.rows, total),
        "scored_papers_per_s": rate(journal.done.scored, model_seconds),
        "tokens_per_s": rate(journal.done.tokens, model_seconds),
    }


def _fields(source: object | None, **paths: str) -> dict[str, Any]:
    """Return attributes of something by their names in the report; null if the run did not come so far."""
    return {name: None if source is None else attrgetter(path)(source) for name, path in paths.items()}


def _positives(journal: Journal) -> dict[str, Any]:
    return _fields(journal.share, share="value") | _fields(
        journal.drift, share_before="before.value", change="change", p_value="p_value", drift="exceeded"
    )


def _cascade(journal: Journal) -> dict[str, Any]:
    cascade = journal.job.classifier.manifest.cascade if journal.job else None
    return {
        "screens": None if journal.job is None else cascade is not None,
        **_fields(cascade, cut="cut", certified_bound="certificate.bound", certified_papers="certificate.papers"),
        **_fields(journal.audit, audit_bound="bound", audit_allowed="allowed"),
        **_fields(journal.audit, audit_p_value="p_value", contradicted="exceeded"),
    }


def _input(journal: Journal) -> dict[str, Any]:
    plan = journal.job.plan if journal.job else None
    return {
        "files": len(plan.sources) if plan else None,
        **_fields(plan, rows="rows", digest="digest"),
        "skipped": [asdict(file) for file in journal.skipped],
        "isolated": [asdict(part) for part in journal.isolated],
    }


def _labels(target: Path | ObjectUrl, journal: Journal) -> dict[str, Any]:
    """Return the current labels at the target, whichever run wrote them."""
    footer: Mapping[str, Any] = {}
    stores = journal.job.settings.stores if journal.job else StoreSettings()
    with suppress(OSError, ValueError, pa.ArrowException, Ro32Error):
        footer = _provenance(target, stores) or {}
    path = str(target).replace(journal.spool, "")
    return {"path": path, "run_id": footer.get("run_id"), "finished": footer.get("finished")}


def _provenance(target: Path | ObjectUrl, stores: StoreSettings) -> Mapping[str, Any] | None:
    if isinstance(target, Path):
        return read_manifest(LocalFolder(target)) if target.is_dir() else read_provenance(target)
    if target.is_folder:
        return read_manifest(ObjectFolder.of(target, stores))
    found = ObjectTarget.of(target, stores).labels_before
    return None if found is None else read_provenance(found)


def _model(job: Job | None) -> dict[str, Any]:
    classifier = job.classifier if job else None
    abstain = classifier.decision.abstain if classifier else None
    return {
        **_fields(classifier, bundle="manifest.name", bundle_digest="digest", scoring_digest="scoring_digest"),
        **_fields(classifier, positive_label="manifest.positive_label", view="manifest.view"),
        **_fields(classifier, threshold="decision.threshold", threshold_chosen_by="decision.chosen_by"),
        "abstain": list(abstain) if abstain else None,
    }


def _settings(job: Job | None) -> dict[str, Any] | None:
    if job is None:
        return None
    settings = asdict(replace(job.settings, reuse=None))
    reuse = job.settings.reuse
    return settings | {"reuse": None if reuse is None else str(reuse)}
