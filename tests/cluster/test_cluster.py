"""The engine on a real cluster of two nodes: the same labels, whatever dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster

from ro32.cluster import ray_engine
from ro32.cluster.ray_engine import STRIKES, RayEngine
from ro32.errors import ClusterError, InputDataError
from ro32.folder.manifest import NAME
from ro32.folder.update import score_folder
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.run.engine import Engine
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.walk import Progress, score_file
from ro32.storage.local_parts import parts_folder
from tests.cluster.workers import LoggingWorker, MortalWorker

PART_ROWS, PARTS = 20, 6
Start = Callable[..., RayEngine]


@pytest.fixture
def start(cluster: Cluster, tiny_bundle: Path) -> Start:
    """Make an engine for the cluster."""

    def call(**options: Any) -> RayEngine:
        return RayEngine(Bundle.load(tiny_bundle), address=cluster.address, **options)

    return call


@pytest.fixture
def source(papers: pl.DataFrame, tmp_path: Path) -> Path:
    papers.head(PART_ROWS * PARTS).write_parquet(tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


class Labels:
    """A target, and the ways to get labels there.

    Args:
        source: The papers.
        target: The labels file.
        classifier: The model.
    """

    def __init__(self, source: Path, target: Path, classifier: Classifier) -> None:
        self.source, self.target, self.classifier = source, target, classifier
        self.parts: list[str] = []
        self.journal = Journal()

    def score(
        self, engine: Engine | None = None, on_progress: Callable[[Progress], object] = lambda _: None
    ) -> pl.DataFrame:
        """Score, and note the names of the parts before they are removed."""
        self.journal = Journal()

        def look(progress: Progress) -> None:
            if progress.parts_done == PARTS:
                self.parts = sorted(path.name for path in parts_folder(self.target).glob("*/*.parquet"))
            on_progress(progress)

        score_file(
            self.source,
            self.target,
            classifier=self.classifier,
            settings=Settings(threads=1, part_rows=PART_ROWS),
            engine=engine,
            journal=self.journal,
            on_progress=look,
        )
        return pl.read_parquet(self.target)

    @property
    def log(self) -> list[list[str]]:
        """The lines that the workers wrote, in words."""
        return [line.split() for line in (parts_folder(self.target) / "log").read_text().splitlines()]


@pytest.fixture
def labels(source: Path, tmp_path: Path, classifier: Classifier) -> Labels:
    return Labels(source, tmp_path / "labels.parquet", classifier)


@pytest.fixture
def expected(source: Path, tmp_path: Path, classifier: Classifier) -> Labels:
    """The same by the local engine."""
    local = Labels(source, tmp_path / "local.parquet", classifier)
    local.score()
    return local


def test_labels_and_parts_are_those_of_the_local_engine(start: Start, labels: Labels, expected: Labels) -> None:
    progress: list[int] = []
    found = labels.score(start(), lambda now: progress.append(now.papers_done))
    assert found.equals(pl.read_parquet(expected.target))
    assert labels.parts == expected.parts  # their names hold their digests
    assert labels.journal.counts == expected.journal.counts
    assert progress == sorted(progress)
    assert progress[-1] == PART_ROWS * PARTS
    assert labels.journal.thread_seconds > 0
    labels.score(start())
    assert (labels.journal.counts.reused, labels.journal.counts.scored) == (PART_ROWS * PARTS, 0)


def test_an_actor_that_is_killed_costs_its_part_alone(start: Start, labels: Labels, expected: Labels) -> None:
    victims: list[str] = []

    def kill(progress: Progress) -> None:
        if progress.parts_done == 1 and not victims:
            victims.append(labels.log[-1][1])
            os.kill(int(victims[0]), signal.SIGKILL)

    found = labels.score(start(worker=LoggingWorker), kill)
    assert found.equals(pl.read_parquet(expected.target))
    assert labels.parts == expected.parts
    assert labels.journal.isolated == []
    assert victims


def test_a_node_that_is_lost_costs_its_parts_alone(
    cluster: Cluster, start: Start, labels: Labels, expected: Labels
) -> None:
    third = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    lost: list[bool] = []

    def lose(progress: Progress) -> None:
        if progress.parts_done == 1 and not lost:
            cluster.remove_node(third, allow_graceful=False)
            lost.append(True)

    found = labels.score(start(worker=LoggingWorker, least=3, most=3), lose)
    assert lost
    assert found.equals(pl.read_parquet(expected.target))
    assert labels.parts == expected.parts
    assert labels.journal.isolated == []


def test_a_part_that_kills_its_workers_is_left_alone(
    start: Start, labels: Labels, expected: Labels, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClusterError, match="20 papers are not scored, since 1 of the parts killed"):
        labels.score(start(worker=MortalWorker))
    assert capfd.readouterr().out == ""
    (isolated,) = labels.journal.isolated
    assert (isolated.path, isolated.start, isolated.rows) == (str(labels.source), 40, 20)
    assert labels.log == [["died"]] * STRIKES
    assert not labels.target.exists()
    assert [warned.kind for warned in labels.journal.warnings] == ["isolated_part"]
    found = labels.score()
    assert labels.journal.resumed.rows == PART_ROWS * (PARTS - 1)
    assert found.equals(pl.read_parquet(expected.target))


def test_other_files_of_a_folder_are_published_none_the_less(
    start: Start, papers: pl.DataFrame, classifier: Classifier, tmp_path: Path
) -> None:
    (tmp_path / "dump").mkdir()
    for name, first, rows in (("a", 0, 40), ("b", 40, 60), ("c", 100, 40)):
        papers.slice(first, rows).write_parquet(tmp_path / "dump" / f"{name}.parquet")
    settings = Settings(threads=1, part_rows=PART_ROWS)
    with pytest.raises(ClusterError, match=r"rows from 40 of .*b\.parquet"):
        score_folder(
            tmp_path / "dump",
            tmp_path / "labels",
            classifier=classifier,
            settings=settings,
            engine=start(worker=MortalWorker),
        )
    published = {path.name for path in (tmp_path / "labels").glob("*.parquet")}
    assert published == {"a.parquet", "c.parquet"}
    assert not (tmp_path / "labels" / NAME).exists()
    summary = score_folder(
        tmp_path / "dump", tmp_path / "labels", classifier=classifier, settings=settings, engine=start()
    )
    assert summary.folder is not None
    assert (summary.folder.unchanged, summary.folder.replaced, summary.counts.scored) == (2, 1, 60)
    for name in ("a", "b", "c"):
        score_file(tmp_path / "dump" / f"{name}.parquet", tmp_path / "alone.parquet", classifier=classifier)
        assert pl.read_parquet(tmp_path / "labels" / f"{name}.parquet").equals(
            pl.read_parquet(tmp_path / "alone.parquet")
        )


def test_an_error_on_a_node_is_that_of_a_local_run(start: Start, labels: Labels) -> None:
    pq.write_table(pq.read_table(labels.source), labels.source, write_page_checksum=True)
    column = pq.read_metadata(labels.source).row_group(0).column(2)
    data = bytearray(labels.source.read_bytes())
    data[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size // 2] ^= 4
    labels.source.write_bytes(data)
    with pytest.raises(InputDataError, match="damaged"):
        labels.score()
    with pytest.raises(InputDataError, match="damaged"):
        labels.score(start())


def test_a_cluster_without_room_ends_the_run(start: Start, labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "PATIENCE_S", 1.0)
    with pytest.raises(ClusterError, match="no node had 64 free processors"):
        score_file(
            labels.source,
            labels.target,
            classifier=labels.classifier,
            settings=Settings(threads=64, part_rows=PART_ROWS),
            engine=start(),
        )


@pytest.mark.drawn(1)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_a_driver_that_is_stopped_and_started_again_goes_on(
    cluster: Cluster,
    papers_path: Path,
    tiny_bundle: Path,
    classifier: Classifier,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    pl.read_parquet(papers_path).head(400).write_parquet(tmp_path / "papers.parquet")
    target = tmp_path / "labels.parquet"
    command = [sys.executable, "-m", "ro32.cli.score", str(tmp_path / "papers.parquet"), "-o", str(target)]
    command += ["--bundle", str(tiny_bundle), "--part-rows", "10", "--engine", "ray", "--ray-address", cluster.address]
    command += ["--report", str(tmp_path / "run.json")]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE)
    while driver.poll() is None and len(list(parts_folder(target).glob("*/*.parquet"))) < 3:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        driver.send_signal(number)
    assert driver.communicate()[0] == b""
    assert driver.returncode == code
    assert not target.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    report = pl.read_json(tmp_path / "run.json")
    assert report["papers"].struct.field("resumed").item() >= 30
    assert report["engine"].item() == "ray"
    score_file(tmp_path / "papers.parquet", tmp_path / "local.parquet", classifier=classifier)
    assert pl.read_parquet(target).equals(pl.read_parquet(tmp_path / "local.parquet"))
