"""The number of threads: measured, chosen, remembered, and without influence on scores."""

import json
from pathlib import Path

import polars as pl
import pytest

from ro32.errors import InputDataError
from ro32.model.classifier import Classifier
from ro32.model.processor import available_cores
from ro32.run import autotune as tuning
from ro32.run.autotune import Trial, autotune, best, candidates, remember, remembered_threads
from ro32.run.job import Settings
from tests.command_line import Score


def trial(threads: int, rate: float) -> Trial:
    return Trial(threads=threads, papers_per_s=rate, low=rate, high=rate)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of our own, and little time to measure."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tuning.autotune, "__kwdefaults__", {"seconds": 0.3})
    return tmp_path / "cache" / "ro32" / "autotune.json"


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (12, [1, 2, 4, 6, 8, 12]), (16, [1, 2, 4, 8, 16])]
)
def test_candidates_are_powers_of_two_all_cores_and_half_of_them(cores: int, expected: list[int]) -> None:
    assert candidates(cores) == expected


def test_more_threads_are_taken_only_for_a_gain() -> None:
    assert best([trial(1, 50), trial(2, 99), trial(4, 100)]).threads == 2
    assert best([trial(1, 50), trial(2, 90), trial(4, 100)]).threads == 4
    assert best([trial(1, 100), trial(2, 60)]).threads == 1


def test_real_papers_are_measured_on(classifier: Classifier, papers_path: Path) -> None:
    trials = autotune([str(papers_path)], classifier, Settings(), seconds=0.5)
    assert [item.threads for item in trials] == candidates(available_cores())
    assert all(0 < item.low <= item.papers_per_s <= item.high for item in trials)


def test_papers_without_text_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["1"], "title": [" "], "abstract": [None]}, schema_overrides={"abstract": pl.String})
    frame.write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(InputDataError, match=r"empty\.parquet: no text in the first"):
        autotune([str(tmp_path / "empty.parquet")], classifier, Settings(), seconds=0.1)


def test_choice_is_remembered_for_this_machine_and_model(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remembered_threads(classifier, tmp_path) is None
    path = remember(classifier, trial(1, 10), tmp_path)
    assert remembered_threads(classifier, tmp_path) == 1
    assert remembered_threads(Classifier.load(), tmp_path) is None
    monkeypatch.setattr(tuning, "processor_name", lambda: "another")
    assert remembered_threads(classifier, tmp_path) is None
    remember(classifier, trial(1, 10), tmp_path)
    assert len(json.loads(path.read_text())["choices"]) == 2


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"format": 2}', b'{"format": 1, "choices": {"a": 1}}'])
def test_file_of_choices_that_is_none_is_passed_over(classifier: Classifier, tmp_path: Path, content: bytes) -> None:
    path = remember(classifier, trial(1, 10), tmp_path)
    path.write_bytes(content)
    assert remembered_threads(classifier, tmp_path) is None
    remember(classifier, trial(1, 10), tmp_path)
    assert remembered_threads(classifier, tmp_path) == 1


def test_command_measures_and_later_runs_obey(score: Score, source: Path, cache: Path) -> None:
    labels, report = source.with_name("labels.parquet"), source.with_name("run.json")
    done = score(source, "-o", labels, "--autotune")
    assert done.code == 0
    assert not labels.exists()
    assert done.stdout.splitlines()[0].split() == ["threads", "papers/s", "slowest", "to", "fastest", "round"]
    assert done.stdout.count("<- chosen") == 1
    content = json.loads(cache.read_text())
    ((key, choice),) = content["choices"].items()
    content["choices"][key] = choice | {"threads": 1}
    cache.write_text(json.dumps(content))
    for args, expected in (((), 1), (("--threads", "3"), 3)):
        assert score(source, "-o", labels, "--no-reuse", "--report", report, *args).code == 0
        assert json.loads(report.read_text())["settings"]["threads"] == expected


def test_choice_that_cannot_be_written_down_is_told(score: Score, source: Path, cache: Path) -> None:
    cache.parent.parent.write_text("no folder")
    done = score(source, "-o", source.with_name("labels.parquet"), "--autotune")
    assert done.code == 73
    assert "--threads" in done.stderr


def test_status_and_autotune_exclude_each_other(score: Score, source: Path) -> None:
    done = score(source, "-o", source.with_name("labels.parquet"), "--autotune", "--status")
    assert done.code == 2
    assert "give one of them" in done.stderr


@pytest.mark.parametrize("provider", ["openvino", "cuda", "tensorrt"])
def test_provider_that_does_not_score_is_refused_at_the_start(score: Score, tmp_path: Path, provider: str) -> None:
    done = score(tmp_path / "none.parquet", "-o", tmp_path / "labels.parquet", "--provider", provider)
    assert done.code == 2
    assert f"--provider {provider}: ro32 does not score with it" in done.stderr
    assert "does not have it; use --provider cpu" in done.stderr
