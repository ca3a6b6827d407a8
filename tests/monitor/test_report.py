"""What a run says of itself afterwards: complete, as documented, and also when it fails."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from ro32.data.labels import read_provenance
from ro32.errors import Interrupted
from ro32.run.journal import WarningKind
from ro32.run.walk import score_file
from tests.command_line import Outcome, Run, Score
from tests.docs.tables import DOCS, check_documented, flat

Report = Callable[[], dict[str, Any]]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Read the report."""

    def call() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
        return found

    return call


def test_every_kind_of_warning_is_documented() -> None:
    lists = re.findall(r"`not_read`(?:, `\w+`)+", (DOCS / "report.md").read_text(encoding="utf-8"))
    in_report, in_log = (set(re.findall(r"\w+", listed)) for listed in lists)
    assert in_log == in_report | {"no_report"} == set(get_args(WarningKind))


def test_every_field_of_a_success_is_documented(run: Run, report: Report, papers: pl.DataFrame) -> None:
    papers = papers.with_columns(created=pl.lit("2007-10-15"))
    run(papers.head(100))
    assert run(papers).code == 0
    found = report()
    check_documented(found, "report")
    empty = {
        field for field, kind in flat(found, {"papers.unscored", "quality", "settings", "versions"}) if kind == "null"
    }
    beside = {field for field in empty if field.startswith(("cascade.", "folder."))}  # here is neither
    assert empty - beside == {"error", "failed_in", "model.view", "model.abstain"}, (
        "a run that succeeds comes to everything"
    )


def test_a_report_tells_what_the_run_did(run: Run, report: Report, papers: pl.DataFrame, tmp_path: Path) -> None:
    run(papers.head(100))
    blank = papers.head(2).with_columns(title=pl.lit(""), abstract=pl.lit(None, pl.String))
    outcome = run(pl.concat([papers, papers.tail(20), blank]))
    found, provenance = report(), read_provenance(tmp_path / "labels.parquet")
    labels = pl.read_parquet(tmp_path / "labels.parquet")
    assert outcome.code == 0
    assert provenance is not None
    assert found["run_id"] == provenance["run_id"] == found["labels"]["run_id"]
    assert found["labels"]["finished"] == provenance["finished"]
    assert found["published"] is True
    assert found["papers"] == {
        "rows": 322,
        "scored": 201,
        "reused": 100,
        "duplicates": 21,
        "unreadable": 0,
        "uncertain": 0,
        "positives": (labels["label"] == "cs.RO").sum(),
        "unscored": {"empty_text": 2},
        "tokens": provenance["rows"]["tokens"],
        "screened": 0,
        "audited": 0,
        "disagreements": 0,
        "resumed": 0,
    }
    assert sum(found["stages"].values()) == pytest.approx(found["seconds"])
    expected = labels["score"].drop_nulls().to_numpy()
    assert found["score_histogram"] == [
        int(((expected >= low / 20) & ((expected < (low + 1) / 20) | (low == 19))).sum()) for low in range(20)
    ]
    assert found["positives"]["share"] == found["papers"]["positives"] / 320
    assert found["input"]["rows"] == 322
    assert found["settings"]["max_unscored"] == 0.01
    assert found["peak_rss_bytes"] > 50_000_000
    assert found["model"]["bundle_digest"] == provenance["bundle_digest"]


def test_a_run_that_fails_half_way_says_where(
    run: Run, report: Report, papers: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(papers.head(50))
    before = report()["run_id"]

    def stopped(*args: Any, **kwargs: Any) -> None:
        def on_progress(progress: Any) -> None:
            if progress.parts_done == 2:
                raise Interrupted(15)

        score_file(*args, **kwargs | {"on_progress": on_progress})

    monkeypatch.setattr("ro32.cli.score.score_file", stopped)
    assert run(papers, "--part-rows", "50").code == 143
    found = report()
    check_documented(found, "report")
    assert (found["exit_code"], found["failed_in"], found["published"]) == (143, "save_part", False)
    assert found["error"].startswith("stopped by SIGTERM")
    assert found["papers"]["rows"] == 100
    assert found["labels"]["run_id"] == before
    assert found["score_histogram"] is None
    monkeypatch.undo()
    assert run(None, "--part-rows", "50").code == 0
    assert (report()["papers"]["resumed"], report()["papers"]["rows"]) == (100, 300)


def test_a_run_that_cannot_begin_has_a_report(run: Run, report: Report, tmp_path: Path) -> None:
    assert run(None).code == 66
    found = report()
    check_documented(found, "report")
    assert (found["exit_code"], found["failed_in"], found["input"]["files"]) == (66, "plan", None)
    assert "does not exist" in found["error"]
    assert found["labels"] == {"path": str(tmp_path / "labels.parquet"), "run_id": None, "finished": None}


def test_a_bug_has_a_report(run: Run, report: Report, papers: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ro32.cli.score.score_file", lambda *_, **__: 1 // 0)
    assert run(papers).code == 70
    assert report()["error"] == "integer division or modulo by zero"


def refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.stderr
    for word in words:
        assert word in outcome.stderr


@pytest.mark.parametrize("option", ["--report", "--metrics-file"])
def test_a_folder_that_is_not_there_is_reported_before_the_run(
    score: Score, source: Path, tmp_path: Path, option: str
) -> None:
    outcome = score(source, "-o", tmp_path / "labels.parquet", option, tmp_path / "no" / "run.prom")
    refused(outcome, 73, "no folder")
    assert not (tmp_path / "labels.parquet").exists()


def test_a_folder_that_cannot_be_written_to_is_reported_before_the_run(
    score: Score, source: Path, tmp_path: Path
) -> None:
    outcome = score(source, "-o", tmp_path / "labels.parquet", "--report", "/proc/run.json")
    refused(outcome, 73, "/proc/run.json: cannot be created")
    assert not (tmp_path / "labels.parquet").exists()


@pytest.mark.parametrize("kind", ["papers", "link", "labels", "reuse", "metrics"])
def test_a_report_destroys_nothing(score: Score, source: Path, tmp_path: Path, kind: str) -> None:
    labels = tmp_path / "labels.parquet"
    assert score(source, "-o", labels).code == 0
    (tmp_path / "link.prom").hardlink_to(source)
    (tmp_path / "old.parquet").write_bytes(labels.read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    path = {"papers": source, "link": tmp_path / "link.prom", "labels": labels, "reuse": tmp_path / "old.parquet"}
    report = path.get(kind, tmp_path / "run.prom")
    args = ("--reuse", tmp_path / "old.parquet", "--metrics-file", tmp_path / "run.prom", "--report", report)
    refused(score(source, "-o", labels, *args), 73)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.parquet")} == before


def test_a_report_that_cannot_be_written_at_the_end_is_a_warning(
    score: Score, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()

    def then_remove(*args: Any, **kwargs: Any) -> Any:
        summary = score_file(*args, **kwargs)
        folder.rmdir()
        return summary

    monkeypatch.setattr("ro32.cli.score.score_file", then_remove)
    outcome = score(source, "-o", tmp_path / "labels.parquet", "--report", folder / "run.json", "--quiet")
    assert outcome.code == 0
    assert (tmp_path / "labels.parquet").exists()
    assert outcome.stderr.startswith("ro32-score: warning: the report was not written: ")
    assert len(outcome.stderr.splitlines()) == 1


def test_a_link_as_report_is_followed(score: Score, source: Path, tmp_path: Path) -> None:
    (tmp_path / "real.json").touch()  # a link to nothing is refused
    (tmp_path / "run.json").symlink_to(tmp_path / "real.json")
    assert score(source, "-o", tmp_path / "labels.parquet", "--report", tmp_path / "run.json").code == 0
    assert (tmp_path / "run.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["exit_code"] == 0
