"""Lines on stderr: one JSON object each where that is asked for, all with the run's id."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ro32.cli import progress
from ro32.cli import score as module
from ro32.cli.process import exit_code_of
from ro32.data.labels import read_provenance
from ro32.errors import Interrupted
from ro32.model.classifier import Classifier
from ro32.run.job import Settings
from ro32.run.walk import Progress, score_file
from tests.cli.test_progress import Terminal
from tests.command_line import Invoke, Outcome, Score


@pytest.fixture
def papers_file(papers: pl.DataFrame, tmp_path: Path) -> Path:
    """A hundred papers."""
    papers.head(100).write_parquet(tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


def lines(outcome: Outcome) -> list[dict[str, Any]]:
    """Read stderr as JSON lines, and check what all of them have in common."""
    found = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert len({line["run_id"] for line in found}) <= 1
    for line in found:
        assert list(line)[:5] == ["time", "level", "event", "run_id", "message"]
        assert line["time"].endswith("+00:00")
    return found


def test_a_run_ends_with_a_summary(score: Score, papers_file: Path, tmp_path: Path) -> None:
    outcome = score(papers_file, "-o", tmp_path / "labels.parquet", "--log-format", "json")
    assert outcome.code == 0
    assert outcome.stdout == ""
    (line,) = lines(outcome)
    assert (line["level"], line["event"]) == ("info", "summary")
    assert line["counts"]["rows"] == line["counts"]["scored"] == 100
    assert "100 papers (100 scored)" in line["message"]
    provenance = read_provenance(tmp_path / "labels.parquet")
    assert provenance is not None
    assert provenance["run_id"] == line["run_id"]


def test_the_speed_of_a_resumed_run_is_its_own(
    score: Score, papers_file: Path, tmp_path: Path, classifier: Classifier
) -> None:
    def stop(progress: Progress) -> None:
        if progress.parts_done == 3:
            raise Interrupted(15)

    labels = tmp_path / "labels.parquet"
    with pytest.raises(Interrupted):
        score_file(papers_file, labels, classifier=classifier, settings=Settings(part_rows=25), on_progress=stop)
    (line,) = lines(score(papers_file, "-o", labels, "--log-format", "json", "--part-rows", "25"))
    assert (line["counts"]["rows"], line["resumed"]) == (100, 75)
    assert f" {25 / line['seconds']:,.1f} papers/s, " in line["message"]


def test_progress_is_a_line_now_and_then(
    score: Score, papers_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)
    outcome = score(papers_file, "-o", tmp_path / "labels.parquet", "--log-format", "json", "--part-rows", "50")
    shown = [line for line in lines(outcome) if line["event"] == "progress"]
    assert shown[-1]["papers_done"] == shown[-1]["papers"] == 100
    assert shown[-1]["parts_done"] == shown[-1]["parts"] == 2
    assert shown[-1]["message"].startswith("100 of 100 papers")


def test_a_warning_is_a_line_though_quiet(score: Score, papers_file: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.parquet").write_bytes(b"no labels")
    outcome = score(papers_file, "-o", tmp_path / "labels.parquet", "--log-format", "json", "--quiet")
    assert outcome.code == 0
    (line,) = lines(outcome)
    assert (line["level"], line["event"]) == ("warning", "not_reused")
    assert "is not reused" in line["message"]


def test_an_error_is_a_line(score: Score, tmp_path: Path) -> None:
    outcome = score(tmp_path / "no.parquet", "-o", tmp_path / "labels.parquet", "--log-format", "json")
    assert outcome.code == 66
    (line,) = lines(outcome)
    assert (line["level"], line["event"], line["exit_code"]) == ("error", "error", 66)
    assert line["error"] == "InputMissingError"
    assert "does not exist" in line["message"]


class Panic(BaseException):
    """What a library in Rust raises: no `Exception`."""


@pytest.mark.parametrize("kind", [ZeroDivisionError, Panic])
def test_a_bug_is_a_line_with_its_trace(
    score: Score, papers_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise kind("x" * 1_000_000)

    monkeypatch.setattr(module, "score_file", fail)
    outcome = score(papers_file, "-o", tmp_path / "labels.parquet", "--log-format", "json")
    assert outcome.code == 70
    (line,) = lines(outcome)
    assert line["error"] == kind.__name__
    assert "Traceback" in line["traceback"]
    assert len(outcome.stderr) < 50_000


def test_text_is_as_it_always_was(score: Score, papers_file: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.parquet").write_bytes(b"no labels")
    first, second = score(papers_file, "-o", tmp_path / "labels.parquet").stderr.splitlines()
    assert first.startswith("ro32-score: warning: ")
    assert second.startswith(f"{tmp_path}/labels.parquet: 100 papers (100 scored), ")


def test_a_warning_does_not_break_a_bar(
    papers: pl.DataFrame, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, a line is written above the bar and not into it."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    source, labels = tmp_path / "papers.parquet", tmp_path / "labels.parquet"
    args = list(map(str, [source, "-o", labels, "--bundle", tiny_bundle]))
    papers.write_parquet(source)
    assert exit_code_of(module.command, args) == 0
    assert "300/300" in terminal.getvalue()
    pl.concat([papers, *[papers.filter(pl.read_parquet(labels)["label"] == "cs.RO")] * 50]).write_parquet(source)
    assert exit_code_of(module.command, args) == 0
    warned = next(line for line in terminal.getvalue().split("\n") if "ro32-score: warning: the share" in line)
    assert warned.rpartition("\r")[2].startswith("ro32-score: warning: the share")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--treshold", "0.5"], "No such option '--treshold'. (Did you mean one of: "),
        (["--threshold", "2"], "Invalid value for '--threshold': 2.0 is not in the range 0<x<=1."),
        (["--config", "missing.toml"], "--config missing.toml: cannot be read: No such file or directory"),
        (["--reuse", "s3://"], "s3://"),
        (["--bundle"], "Option '--bundle' requires an argument."),
    ],
)
@pytest.mark.parametrize("asked", ["option", "variable", "file"])
def test_wrong_usage_is_a_line_too(
    invoke: Invoke, arguments: list[str], message: str, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever JSON is asked for; an option that is no option ends the reading of all others."""
    monkeypatch.chdir(tmp_path)
    if asked == "file":
        (tmp_path / "ro32.toml").write_text('log-format = "json"\n')
        monkeypatch.setenv("RO32_CONFIG", "ro32.toml")
    if asked == "variable" or (asked == "file" and "--config" in arguments):
        monkeypatch.setenv("RO32_LOG_FORMAT", "json")
    words = ["--log-format", "json"] if asked == "option" else []
    outcome = invoke(module.command, ["papers.parquet", "-o", "labels.parquet", *words, *arguments])
    assert (outcome.code, outcome.stdout) == (2, "")
    (line,) = lines(outcome)
    assert (line["level"], line["event"], line["exit_code"], line["error"]) == ("error", "error", 2, "UsageError")
    assert message in line["message"]


def test_wrong_usage_is_a_sentence_where_none_asked_for_json(invoke: Invoke) -> None:
    for words in ([], ["--log-format", "xml"]):
        outcome = invoke(module.command, ["papers.parquet", "-o", "labels.parquet", "--threshold", "2", *words])
        assert outcome.code == 2
        assert outcome.stderr.startswith("Usage: ro32-score ")
