"""Metrics for Prometheus: those of the report, as documented, and of use when a run fails."""

import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.command_line import Run, Score
from tests.docs.tables import table


def metrics(folder: Path) -> dict[str, list[Any]]:
    text = (folder / "run.prom").read_text(encoding="utf-8")
    return {family.name: family.samples for family in text_string_to_metric_families(text)}


def test_every_metric_is_documented(run: Run, papers: pl.DataFrame, tmp_path: Path) -> None:
    papers = papers.with_columns(created=pl.lit("2007-10-15"))
    run(papers.head(100))
    run(papers)
    documented = {name: labels for name, labels, _ in table("report.md", "metrics")}
    found = metrics(tmp_path)
    assert list(found) == list(documented)
    for name, samples in found.items():
        further = [label.strip("`") for label in documented[name].split(":")[0].split(", ") if label]
        assert {label for sample in samples for label in sample.labels} == {"target", *further}
        assert {sample.labels["target"] for sample in samples} == {str(tmp_path / "labels.parquet")}


def test_metrics_are_those_of_the_report(run: Run, papers: pl.DataFrame, tmp_path: Path) -> None:
    run(papers.head(100))
    run(papers)
    found, reported = metrics(tmp_path), json.loads((tmp_path / "run.json").read_text())
    assert found["ro32_exit_code"][0].value == 0
    assert {sample.labels["origin"]: sample.value for sample in found["ro32_papers"]} == {
        name: reported["papers"][name] for name in ("scored", "reused", "duplicates", "unreadable")
    }
    assert {sample.labels["stage"]: sample.value for sample in found["ro32_stage_seconds"]} == reported["stages"]
    assert found["ro32_positive_share"][0].value == reported["positives"]["share"]
    assert (
        found["ro32_labels_timestamp_seconds"][0].value
        == pl.Series([reported["labels"]["finished"]]).str.to_datetime()[0].timestamp()
    )


def test_labels_whose_name_is_no_utf_8_have_metrics_too(score: Score, source: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.parquet"))
    outcome = score(source, "-o", odd, "--metrics-file", tmp_path / "run.prom")
    assert outcome.code == 0, outcome.stderr
    (sample,) = metrics(tmp_path)["ro32_exit_code"]
    assert sample.labels["target"] == f"{tmp_path}/\\udcff.parquet"


def test_metrics_of_a_failure_still_tell_how_old_the_labels_are(run: Run, papers: pl.DataFrame, tmp_path: Path) -> None:
    run(papers.head(50))
    finished = metrics(tmp_path)["ro32_labels_timestamp_seconds"][0].value
    (tmp_path / "papers.parquet").write_bytes(b"no papers")
    assert run(None).code == 65
    found = metrics(tmp_path)
    assert found["ro32_exit_code"][0].value == 65
    assert found["ro32_labels_timestamp_seconds"][0].value == finished
    assert "ro32_positive_share" not in found


@pytest.mark.parametrize("finished", ['"yesterday"', "5", "null"])
def test_metrics_of_a_failure_do_not_rely_on_what_stands_there(run: Run, tmp_path: Path, finished: str) -> None:
    footer = {"ro32": f'{{"finished": {finished}}}'}
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata(footer), tmp_path / "labels.parquet")
    assert run(None).code == 66
    found = metrics(tmp_path)
    assert found["ro32_exit_code"][0].value == 66
    assert "ro32_labels_timestamp_seconds" not in found


def test_metrics_without_their_package_are_refused_before_the_run(
    score: Score, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ro32.cli.reporting.find_spec", lambda _: None)
    outcome = score(source, "-o", tmp_path / "labels.parquet", "--metrics-file", tmp_path / "run.prom")
    assert outcome.code == 2
    assert "pip install 'ro32[metrics]'" in outcome.stderr
    assert not (tmp_path / "labels.parquet").exists()


def test_metrics_that_no_collector_would_read_are_refused(score: Score, source: Path, tmp_path: Path) -> None:
    outcome = score(source, "-o", tmp_path / "labels.parquet", "--metrics-file", tmp_path / "run.txt")
    assert outcome.code == 2
    assert "expected a name that ends in .prom" in outcome.stderr
