"""Faults between a run and its store: old labels or new ones, whole; the documented exit codes; and a rerun."""

import random
import time
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from ro32.storage.store import _read_small
from tests.command_line import Score
from tests.conftest import SEED
from tests.storage.bucket import Bucket
from tests.storage.proxy import FailingOnce, Fault, Proxy, Request, failing_from

OLD = b"older labels, of something else"


class Disturbed:
    """A run into a bucket that holds other bytes in the place of labels, and the requests it makes without faults."""

    def __init__(self, score: Score, bucket: Bucket, proxy: Proxy, *args: str) -> None:
        self.bucket, self.proxy, self._score, self._args = bucket, proxy, score, (*args, "--quiet")
        self.prepare()
        assert self.run() == (0, "")
        self.requests = list(proxy.requests)

    def put_back(self) -> None:
        """Put the old labels back."""
        raise NotImplementedError

    def check(self, code: int) -> None:
        """Check that the target is what the exit code says, and that a run without faults succeeds."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Put the old labels back, and forget what is known."""
        self.proxy.fault = lambda _: None
        self.put_back()
        _read_small.cache_clear()
        self.proxy.requests.clear()

    def run(self) -> tuple[int, str]:
        """Run; the exit code, and what was said besides the warning that the old labels are not reused."""
        done = self._score(*self._args)
        assert "Traceback" not in done.stderr
        return done.code, "\n".join(line for line in done.stderr.splitlines() if "is not reused" not in line)

    def fail_from_some_request_on(self, fault: Fault, most: int) -> None:
        """Let a store fail from each of some requests on, and for good: 74, or success if the labels were there."""
        for number in drawn(len(self.requests), most, fault):
            self.prepare()
            self.proxy.fault = failing_from(number, fault)
            code, said = self.run()
            assert code in {0, 74}, (number, said)
            assert (code == 0) == (said == ""), said
            self.check(code)

    def fail_once(self, fault: Fault, *keys: str) -> None:
        """Let one write of each of some objects fail: the run succeeds, also if only the answer was lost."""
        for key in keys:
            self.prepare()
            self.proxy.fault = once = FailingOnce(fault, partial(contains, key))
            assert self.run() == (0, ""), key
            assert once.failed
            self.check(0)


class Scene(Disturbed):
    """A run over one file of the bucket, and what it comes to."""

    def __init__(self, score: Score, papers: pl.DataFrame, bucket: Bucket, proxy: Proxy, folder: Path) -> None:
        papers.head(30).write_parquet(folder / "papers.parquet")
        assert score(folder / "papers.parquet", "-o", folder / "expected.parquet").code == 0
        self.expected = pq.read_table(folder / "expected.parquet").to_pylist()
        bucket.put("papers.parquet", folder / "papers.parquet")
        args = (bucket.url("papers.parquet"), "-o", bucket.url("labels.parquet"), "--part-rows", "10")
        super().__init__(score, bucket, proxy, *args)

    def put_back(self) -> None:
        """Put the old labels back, and remove what runs left beside them."""
        self.bucket.put("labels.parquet", OLD)
        for key in self.bucket.list():
            if key.startswith("."):
                self.bucket.delete(key)

    def check(self, code: int) -> None:
        """Check that the target is what the exit code says, and that a run without faults succeeds."""
        self.proxy.fault = lambda _: None
        if code == 0 or self.bucket.get("labels.parquet") != OLD:
            assert self.bucket.table("labels.parquet").to_pylist() == self.expected
        assert self.run() == (0, "")
        assert self.bucket.table("labels.parquet").to_pylist() == self.expected
        assert self.bucket.list() == ["labels.parquet", "papers.parquet"]


def drawn(requests: int, most: int, fault: Fault) -> list[int]:
    """Draw the numbers of a few requests, others in each run, or all."""
    return sorted(random.Random(f"{SEED} {fault}").sample(range(requests), min(most, requests)))


@pytest.fixture
def scene(score: Score, papers: pl.DataFrame, bucket: Bucket, proxy: Proxy, tmp_path: Path) -> Scene:
    """A run that can be disturbed."""
    return Scene(score, papers, bucket, proxy, tmp_path)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("most", [pytest.param(2, id="drawn"), pytest.param(1000, id="every", marks=pytest.mark.full)])
@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.DROPPED, Fault.UNANSWERED], ids=lambda fault: fault.name)
def test_a_store_that_fails_from_some_request_on(scene: Scene, fault: Fault, most: int) -> None:
    scene.fail_from_some_request_on(fault, most)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("fault", [Fault.UNANSWERED, Fault.CUT_REQUEST, Fault.BUSY], ids=lambda fault: fault.name)
def test_a_write_that_fails_once_is_done_all_the_same(scene: Scene, fault: Fault) -> None:
    scene.fail_once(fault, "/labels.parquet", ".parts/", ".lock")


def contains(key: str, path: str) -> bool:
    return key in path


def test_a_store_without_conditional_writes_is_refused_at_once(scene: Scene) -> None:
    for key in ("/.labels.parquet.lock", "/.labels.parquet.parts/", "/labels.parquet"):
        scene.prepare()
        scene.proxy.fault = partial(refused, f"{scene.bucket.name}{key}")
        started = time.monotonic()
        code, said = scene.run()
        assert (code, said.count("\n")) == (73, 0), said
        assert "If-None-Match" in said
        puts = [request for request in scene.proxy.requests if key in request.path and request.method == "PUT"]
        assert len(puts) == 1
        assert time.monotonic() - started < 30
        scene.check(code)


def refused(key: str, request: Request) -> Fault | None:
    return Fault.NOT_IMPLEMENTED if request.method == "PUT" and key in request.path else None
