"""The engine on papers and labels in an object store, which nodes read and write themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster

from ro32.cluster.ray_engine import RayEngine
from ro32.cluster.worker import check_same
from ro32.data.labels import read_provenance
from ro32.data.papers import Columns
from ro32.errors import Interrupted, TryAgainError
from ro32.folder.update import score_folder
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.run.engine import Engine
from ro32.run.inputs import find_inputs
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.plan import make_plan
from ro32.run.walk import Progress, Summary, score_file
from ro32.storage.client import StoreSettings
from ro32.storage.objects import find_objects
from tests.storage.bucket import Bucket

PARTS = 4


class Labels:
    """Labels in a bucket, of papers in the bucket.

    Args:
        bucket: The bucket.
        classifier: The model.
        server: Address of the store: nodes get it with each part, and have only credentials.
    """

    def __init__(self, bucket: Bucket, classifier: Classifier, server: str) -> None:
        self.bucket, self.classifier = bucket, classifier
        self.settings = Settings(threads=1, part_rows=10, stores=StoreSettings(endpoint_url=server))
        self.url = bucket.url("out/labels.parquet")

    def score(self, engine: Engine | None = None, on_progress: Callable[[Progress], None] = lambda _: None) -> Journal:
        """Score the papers, and return what became of them."""
        journal = Journal()
        score_file(
            self.bucket.url("papers.parquet"),
            self.url,
            classifier=self.classifier,
            settings=self.settings,
            engine=engine,
            journal=journal,
            on_progress=on_progress,
        )
        return journal

    @property
    def parts(self) -> list[str]:
        """Keys of the finished parts that are there."""
        return [key for key in self.bucket.list() if key.startswith("out/.labels.parquet.parts/")]


@pytest.fixture
def source(papers: pl.DataFrame, bucket: Bucket, tmp_path: Path) -> Path:
    """Papers, on the disk and in the bucket."""
    papers.head(10 * PARTS).write_parquet(tmp_path / "papers.parquet")
    bucket.put("papers.parquet", tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


@pytest.fixture
def labels(source: Path, bucket: Bucket, classifier: Classifier, s3_server: str) -> Labels:
    assert source
    return Labels(bucket, classifier, s3_server)


@pytest.fixture
def expected(source: Path, classifier: Classifier, tmp_path: Path) -> pa.Table:
    """What a local run over files writes."""
    score_file(source, tmp_path / "expected.parquet", classifier=classifier)
    return pq.read_table(tmp_path / "expected.parquet").replace_schema_metadata(None)


@pytest.fixture
def engine(cluster: Cluster, tiny_bundle: Path) -> RayEngine:
    return RayEngine(Bundle.load(tiny_bundle), address=cluster.address)


def test_nodes_read_and_write_a_store(engine: RayEngine, labels: Labels, expected: pa.Table) -> None:
    labels.score(engine)
    assert labels.bucket.list() == ["out/labels.parquet", "papers.parquet"]
    found = labels.bucket.table("out/labels.parquet")
    assert found.replace_schema_metadata(None).equals(expected)
    (written,) = find_objects([labels.url], labels.settings.stores)
    assert (read_provenance(written) or {})["engine"] == "ray"


def test_a_run_that_threads_began_nodes_finish(engine: RayEngine, labels: Labels, expected: pa.Table) -> None:
    """One of its parts is damaged by then: a node writes it again, over what stands there."""

    def stop(progress: Progress) -> None:
        if progress.parts_done == PARTS - 1:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        labels.score(on_progress=stop)
    assert len(labels.parts) == PARTS - 1
    content = bytearray(labels.bucket.get(labels.parts[1]))
    content[200] ^= 1
    labels.bucket.put(labels.parts[1], bytes(content))
    journal = labels.score(engine)
    assert (journal.resumed.rows, journal.done.rows) == (20, 20)
    assert labels.parts == []
    assert labels.bucket.table("out/labels.parquet").replace_schema_metadata(None).equals(expected)


def test_a_folder_of_labels_in_a_store_is_written_through_nodes(
    engine: RayEngine, labels: Labels, expected: pa.Table
) -> None:
    """Two files; a run that threads began, nodes finish."""
    bucket, settings = labels.bucket, labels.settings
    for name in ("a", "b"):
        bucket.put(f"dump/{name}.parquet", bucket.get("papers.parquet"))

    def run(**options: Any) -> Summary:
        folders = (bucket.url("dump/"), bucket.url("labels/"))
        return score_folder(*folders, classifier=labels.classifier, settings=settings, **options)

    def stop(progress: Progress) -> None:
        if progress.parts_done == PARTS + 1:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        run(on_progress=stop)
    summary = run(engine=engine)
    assert (summary.resumed, summary.counts.scored) == (10 * (PARTS + 1), 20 * PARTS)
    written = [key for key in bucket.list() if key.startswith("labels/")]
    assert written == ["labels/_manifest.json", "labels/a.parquet", "labels/b.parquet"]
    for name in ("a", "b"):
        assert bucket.table(f"labels/{name}.parquet").replace_schema_metadata(None).equals(expected)
    again = run(engine=engine)
    assert again.folder is not None
    assert again.folder.unchanged == 2


def test_a_node_refuses_an_object_that_was_replaced(labels: Labels) -> None:
    papers = labels.bucket.url("papers.parquet")
    plan = make_plan(find_inputs([papers], labels.settings.stores), Columns())
    check_same(plan)
    labels.bucket.put("papers.parquet", b"another")
    with pytest.raises(TryAgainError, match=f"{papers} changed while it was read"):
        check_same(plan)
