"""Metrics of a run for Prometheus' textfile collector: https://github.com/prometheus/node_exporter#textfile-collector.

Source: https://prometheus.io/docs/practices/naming (names and base units).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from ro32.monitor.quality import MEASURES
from ro32.printable import printable
from ro32.storage import durable


class Sample(NamedTuple):
    """One value of one metric."""

    name: str
    help: str
    value: float | None
    labels: Mapping[str, str] = {}


def write_metrics(report: Mapping[str, Any], path: Path) -> None:
    """Write the metrics of a run, given its report, whole or not at all.

    Every metric has the label `target`, the labels file, which distinguishes the jobs of one host.

    Raises:
        OutputError: The folder does not exist or cannot be written to.
        OSError: The disk is full or failed.
    """
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    target = printable(report["labels"]["path"])  # a path need not be UTF-8
    for sample in _samples(report):
        if sample.value is None:
            continue
        name = f"ro32_{sample.name}"
        if name not in gauges:
            gauges[name] = Gauge(name, sample.help, ["target", *sample.labels], registry=registry)
        gauges[name].labels(target=target, **sample.labels).set(sample.value)
    durable.write(path, generate_latest(registry))


def _samples(report: Mapping[str, Any]) -> Iterator[Sample]:
    papers, speed, positives, model = report["papers"], report["speed"], report["positives"], report["model"]
    yield Sample("exit_code", "Exit code of the last run; 0 if it published labels.", report["exit_code"])
    yield Sample("started_timestamp_seconds", "When the last run began.", _timestamp(report["started"]))
    yield Sample("finished_timestamp_seconds", "When the last run ended.", _timestamp(report["finished"]))
    finished = _timestamp(report["labels"]["finished"])
    yield Sample("labels_timestamp_seconds", "When the current labels were finished.", finished)
    yield Sample("run_seconds", "How long the last run took.", report["seconds"])
    for stage, seconds in report["stages"].items():
        yield Sample("stage_seconds", "How long its stages took.", seconds, {"stage": stage})
    for origin in ("scored", "reused", "duplicates", "unreadable"):
        yield Sample("papers", "Papers, by where their score came from.", papers[origin], {"origin": origin})
    yield Sample("papers_screened", "Papers that the screen alone scored.", papers["screened"])
    yield Sample("papers_audited", "Papers below its cut that were scored in full.", papers["audited"])
    yield Sample("audit_disagreements", "Those with another label than the screen gives.", papers["disagreements"])
    contradicted = 0 if report["cascade"]["screens"] is False else report["cascade"]["contradicted"]
    yield Sample("cascade_contradicted", "1 if the audited papers contradict the bundle's certificate.", contradicted)
    yield Sample("papers_unscored", "Papers without a score.", sum(papers["unscored"].values()))
    yield Sample("papers_uncertain", "Papers with a score and no label.", papers["uncertain"])
    yield Sample("papers_positive", "Papers with the positive label.", papers["positives"])
    yield Sample("positive_share", "Share of positive papers among those with a score.", positives["share"])
    yield Sample("positive_share_change", "Its change against the labels before.", positives["change"])
    yield Sample("drift", "1 if that change exceeds --max-drift and is significant.", positives["drift"])
    yield from _quality(report["quality"])
    yield Sample("skipped_files", "Input files that were left out.", len(report["input"]["skipped"]))
    yield Sample("warnings", "Warnings of the last run.", len(report["warnings"]))
    yield Sample("papers_per_second", "Papers that it finished.", speed["papers_per_s"])
    yield Sample("scored_papers_per_second", "Papers that went through the model.", speed["scored_papers_per_s"])
    yield Sample("tokens_per_second", "Tokens that went through the model.", speed["tokens_per_s"])
    yield Sample("peak_memory_bytes", "The most memory that it took.", report["peak_rss_bytes"])
    if model["bundle_digest"] is not None:
        info = {name: model[name] for name in ("bundle", "bundle_digest")} | {"version": report["versions"]["ro32"]}
        yield Sample("model_info", "Always 1; the labels name the model.", 1, info)


def _quality(quality: Mapping[str, Any] | None) -> Iterator[Sample]:
    if quality is None:
        return
    for period in ("newest_day", "last_90_days"):
        found, label = quality[period], {"period": period}
        yield Sample("quality_papers", "Papers whose label was compared with their categories.", found["papers"], label)
        yield Sample("quality_listed", "Those listed in the category of the positive label.", found["listed"], label)
        for measure in MEASURES:
            for bound, value in (found[measure] or {}).items():
                labels = {**label, "measure": measure, "bound": bound}
                yield Sample("quality", "Quality of the labels, and the ends of its 95 % interval.", value, labels)
    aged = quality["aged"]
    yield Sample("aged", "1 if the last 90 days fell below what was measured when the bundle was made.", aged)


def _timestamp(iso: Any) -> float | None:  # noqa: ANN401 - whatever a file at the place of the labels says
    with suppress(TypeError, ValueError, OverflowError):
        return datetime.fromisoformat(iso).timestamp()
    return None
