"""What a run would do is what it then does; and asking changes nothing."""

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ro32.data.part_reader import read_parts
from ro32.errors import Interrupted, TryAgainError
from ro32.model.classifier import Classifier
from ro32.monitor.status import Status, dry_run
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.walk import Progress, Summary, score_file
from ro32.storage.local_parts import parts_folder
from ro32.storage.lock import holder, lock_path, only_run
from tests.command_line import Score
from tests.docs.tables import check_documented


class Target:
    """A labels file, and what can be asked of it and done to it.

    Args:
        folder: Where papers and labels are.
        classifier: The model.
    """

    def __init__(self, folder: Path, classifier: Classifier) -> None:
        self.papers, self.labels = folder / "papers.parquet", folder / "labels.parquet"
        self._classifier = classifier

    def status(self, **options: Any) -> Status:
        """Ask what a run would do."""
        return dry_run(
            [str(self.papers)],
            self.labels,
            classifier=self._classifier,
            settings=Settings(part_rows=50, **options),
            journal=Journal(),
        )

    def run(self, on_progress: Callable[[Progress], None] = lambda _: None, **options: Any) -> Summary:
        """Run, 50 papers a part."""
        return score_file(
            [str(self.papers)],
            self.labels,
            classifier=self._classifier,
            settings=Settings(part_rows=50, **options),
            on_progress=on_progress,
        )

    def kill_after(self, parts: int) -> None:
        """Run, and stop when so many parts are finished."""

        def stop(progress: Progress) -> None:
            if progress.parts_done == parts:
                raise Interrupted(15)

        with pytest.raises(Interrupted):
            self.run(stop)


@pytest.fixture
def target(tmp_path: Path, classifier: Classifier) -> Target:
    return Target(tmp_path, classifier)


def state_of(folder: Path) -> dict[Path, tuple[int, bytes | None]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None) for path in folder.rglob("*")
    }


def expected_by(status: Status) -> tuple[int, int, int, int]:
    return status.rows, status.reused, status.duplicates, status.to_score


def done(summary: Summary) -> tuple[int, int, int, int]:
    counts = summary.counts
    return counts.rows, counts.reused, counts.duplicates, counts.scored


def test_a_run_does_what_the_dry_run_found(target: Target, papers: pl.DataFrame) -> None:
    """First labels, then new papers, known ones and duplicates within a part and across parts."""
    papers.head(120).write_parquet(target.papers)
    assert expected_by(target.status()) == (120, 0, 0, 120) == done(target.run())
    pl.concat([papers.head(220), papers.slice(100, 60), papers.slice(210, 10)]).write_parquet(target.papers)
    expected = target.status()
    assert expected_by(expected) == (290, 140, 50, 100) == done(target.run())
    assert expected_by(target.status(no_reuse=True)) == (290, 0, 70, 220) == done(target.run(no_reuse=True))


def test_asking_changes_nothing(target: Target, papers: pl.DataFrame, tmp_path: Path) -> None:
    papers.write_parquet(target.papers)
    before = state_of(tmp_path)
    target.status()
    assert state_of(tmp_path) == before, "not even a lock file"
    target.kill_after(2)
    before = state_of(tmp_path)
    target.status()
    assert state_of(tmp_path) == before


def test_finished_parts_are_distinguished_from_left_overs(target: Target, papers: pl.DataFrame, tmp_path: Path) -> None:
    papers.head(200).write_parquet(target.papers)
    target.kill_after(1)
    papers.write_parquet(target.papers)
    target.kill_after(3)
    (tmp_path / ".labels.parquet.0badcafe.tmp").write_bytes(bytes(1000))
    status = target.status()
    assert (status.parts, status.finished_parts, status.finished, status.to_score) == (6, 3, 150, 150)
    folder, temporary = status.left_over
    (old,) = [path for path in parts_folder(target.labels).iterdir() if len(list(path.iterdir())) == 1]
    assert (folder.path, folder.size_bytes) == (str(old), next(old.iterdir()).stat().st_size)
    assert (Path(temporary.path).name, temporary.size_bytes) == (".labels.parquet.0badcafe.tmp", 1000)
    assert target.run().resumed == 150
    assert target.status().left_over == ()


def test_a_run_in_progress_is_named_and_not_disturbed(target: Target, papers: pl.DataFrame) -> None:
    papers.write_parquet(target.papers)
    assert target.status().running is None
    with only_run(target.labels):
        assert f"process {os.getpid()} on " in str(target.status().running)
    assert target.status().running is None
    assert target.run().counts.rows == 300


def test_asking_who_runs_keeps_no_run_from_beginning(target: Target) -> None:
    """To ask is to have the lock for an instant; a run that begins just then waits that long."""
    lock_path(target.labels).touch()
    descriptor = os.open(lock_path(target.labels), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    let_go = threading.Timer(0.05, os.close, [descriptor])
    let_go.start()
    with only_run(target.labels):
        assert holder(target.labels) is not None
    let_go.join()


def test_a_run_that_ends_meanwhile_is_reported(
    target: Target, papers: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes its temporary files; their size cannot be looked up any more."""
    papers.write_parquet(target.papers)
    target.kill_after(2)

    def run_meanwhile(_: Path) -> None:
        target.run()

    monkeypatch.setattr("ro32.monitor.status.holder", run_meanwhile)
    monkeypatch.setattr("ro32.storage.local_parts._temporary", lambda path: [path.with_name("gone")])
    with pytest.raises(TryAgainError, match="ask again"):
        target.status()


@pytest.mark.parametrize("options", [["--status"], ["--explain", "1"]])
@pytest.mark.parametrize("output", ["labels.parquet", "labels/"])
def test_papers_that_change_meanwhile_are_not_called_damaged(
    score: Score, source: Path, tmp_path: Path, options: list[str], output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_later(*args: Any) -> Iterator[Any]:
        source.write_bytes(source.read_bytes()[:-100])
        yield from read_parts(*args)

    for module in ("monitor.status", "evaluation.explain"):
        monkeypatch.setattr(f"ro32.{module}.read_parts", read_later)
    outcome = score(source, "-o", f"{tmp_path}/{output}", *options)
    assert outcome.code == 75, outcome.stderr
    assert "changed while it was read" in outcome.stderr


def test_the_command_says_it_in_words(score: Score, source: Path, tmp_path: Path) -> None:
    outcome = score(source, "-o", tmp_path / "labels.parquet", "--status")
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in outcome.stdout.splitlines()]
    words = {line[0]: line[1] for line in lines}
    assert words["papers"] == "5 in 1 file, 1 part"
    assert words["reused"].startswith("0 ")
    assert "to score    5\n" in outcome.stdout


def test_the_command_says_it_as_documented(score: Score, source: Path, tmp_path: Path) -> None:
    outcome = score(source, "-o", tmp_path / "labels.parquet", "--status", "--json")
    assert outcome.code == 0
    found = json.loads(outcome.stdout)
    check_documented(found, "status")
    assert found["to_score"] == found["rows"] == 5


def test_what_would_end_a_run_ends_the_question(score: Score, source: Path, tmp_path: Path) -> None:
    assert score(source, "-o", source, "--status").code == 73
    assert score(tmp_path / "no.parquet", "-o", tmp_path / "labels.parquet", "--status").code == 66
    assert score(source, "-o", tmp_path / "labels.parquet", "--json").code == 2
