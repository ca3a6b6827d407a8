"""The journal of a run."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ro32.errors import Interrupted
from ro32.model.classifier import Classifier
from ro32.run.job import Settings
from ro32.run.journal import Journal, Stage, new_run_id
from ro32.run.walk import Progress, score_file


def test_every_moment_belongs_to_one_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    journal = Journal()
    for stage, seconds in ((Stage.READ, 1), (Stage.SCORE, 2), (Stage.READ, 4)):
        now += seconds
        journal.enter(stage)
    now += 8
    spent = journal.seconds()
    assert (spent[Stage.MODEL], spent[Stage.READ], spent[Stage.SCORE]) == (1, 2 + 8, 4)
    assert sum(spent.values()) == 15
    assert journal.seconds() == spent


def test_run_ids_sort_by_time_and_differ() -> None:
    ids = [new_run_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [item[:16] for item in ids] == sorted(item[:16] for item in ids)


def test_histogram_holds_every_score_and_no_other() -> None:
    journal = Journal()
    journal.count_scores(np.array([0, 0.049, 0.05, 0.5, 1, np.nan], dtype=np.float32))
    assert journal.histogram.tolist() == [2, 1, *[0] * 8, 1, *[0] * 8, 1]


@pytest.fixture
def run(tmp_path: Path, classifier: Classifier) -> Any:
    """Label a frame, and return the journal."""

    def call(frame: pl.DataFrame | None, **options: Any) -> Journal:
        journal: Journal = options.pop("journal", Journal())
        if frame is not None:
            frame.write_parquet(tmp_path / "papers.parquet")
        score_file(
            [str(tmp_path / "papers.parquet")],
            tmp_path / "labels.parquet",
            classifier=classifier,
            journal=journal,
            on_progress=options.pop("on_progress", lambda _: None),
            settings=Settings(part_rows=50, **options),
        )
        return journal

    return call


def test_a_run_goes_through_its_stages(run: Any, papers: pl.DataFrame) -> None:
    journal = run(papers)
    spent = journal.seconds()
    working = {Stage.PLAN, Stage.READ, Stage.LOOK_UP, Stage.SCORE, Stage.LABEL, Stage.SAVE_PART, Stage.COMMIT}
    assert all(spent[stage] > 0 for stage in working)
    assert spent[Stage.VERIFY] == 0
    assert journal.thread_seconds > 0
    assert journal.published
    assert journal.histogram.sum() == papers.height
    assert journal.counts.rows == papers.height


def test_a_run_that_fails_tells_how_far_it_came(run: Any, papers: pl.DataFrame) -> None:
    journal = Journal()

    def stop(progress: Progress) -> None:
        if progress.parts_done == 2:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        run(papers, journal=journal, on_progress=stop)
    assert (journal.published, journal.counts.rows, journal.stage) == (False, 100, Stage.SAVE_PART)
    again = run(None)
    assert (again.resumed.rows, again.done.rows, again.counts.rows) == (100, 200, 300)
