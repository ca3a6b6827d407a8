"""Faults between a run and the store of its folder of labels: objects are whole, and a rerun completes them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command_line import Score
from tests.storage.bucket import Bucket
from tests.storage.proxy import Fault, Proxy
from tests.storage.test_faults import OLD, Disturbed
from tests.storage.test_labels_folder import ALL, LABELS, NAMES, written


class Scene(Disturbed):
    """A run into a folder of a bucket, one of whose labels files is none."""

    def __init__(self, score: Score, dump: Path, bucket: Bucket, proxy: Proxy, folder: Path) -> None:
        assert score(dump, "-o", f"{folder}/expected/").code == 0
        self.expected = {f"labels/{name}": pq.read_table(folder / "expected" / name) for name in NAMES}
        super().__init__(score, bucket, proxy, bucket.url("dump/"), "-o", bucket.url("labels/"), "--part-rows", "5")

    def put_back(self) -> None:
        """Leave nothing in the folder but one old file."""
        for key in written(self.bucket):
            self.bucket.delete(key)
        self.bucket.put(LABELS[1], OLD)

    def check(self, code: int) -> None:
        """Check that each object is an old one or a new one, and that a run without faults completes them."""
        self.proxy.fault = lambda _: None
        for key in set(written(self.bucket)) & set(LABELS):
            if key != LABELS[1] or self.bucket.get(key) != OLD:
                assert self.bucket.table(key).equals(self.expected[key])
        if code == 0:
            assert set(ALL) <= set(written(self.bucket))
        assert self.run() == (0, "")
        assert written(self.bucket) == ALL
        assert all(self.bucket.table(key).equals(table) for key, table in self.expected.items())


@pytest.fixture
def scene(score: Score, dump: Path, bucket: Bucket, proxy: Proxy, tmp_path: Path) -> Scene:
    """A run that can be disturbed."""
    return Scene(score, dump, bucket, proxy, tmp_path)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("most", [pytest.param(1, id="drawn"), pytest.param(1000, id="every", marks=pytest.mark.full)])
@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.DROPPED, Fault.CUT_ANSWER], ids=lambda fault: fault.name)
def test_a_store_that_fails_from_some_request_on(scene: Scene, fault: Fault, most: int) -> None:
    scene.fail_from_some_request_on(fault, most)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("fault", [Fault.UNANSWERED, Fault.CUT_REQUEST, Fault.BUSY], ids=lambda fault: fault.name)
def test_a_write_that_fails_once_is_done_all_the_same(scene: Scene, fault: Fault) -> None:
    scene.fail_once(fault, "/labels/b.parquet", "/labels/_manifest.json")
