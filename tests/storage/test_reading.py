"""Papers from an object store: the same labels as from files, of the same bytes that were planned, and few of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from ro32.storage import client, store
from ro32.storage.urls import ObjectUrl
from tests.command_line import Score
from tests.storage.bucket import Bucket
from tests.storage.proxy import Fault, Proxy, Request


def _labels(path: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_an_object_gives_the_labels_of_the_same_file(
    score: Score, papers: pl.DataFrame, bucket: Bucket, tmp_path: Path, form: str
) -> None:
    local = tmp_path / f"papers.{form}"
    frame = papers.select("id", "title", "abstract")
    getattr(frame, {"jsonl": "write_ndjson"}.get(form, f"write_{form}"))(local)
    bucket.put(local.name, local)
    assert score(local, "-o", tmp_path / "expected.parquet").code == 0
    done = score(bucket.url(local.name), "-o", tmp_path / "labels.parquet", "--part-rows", "70")
    assert done.code == 0, done.stderr
    assert _labels(tmp_path / "labels.parquet") == _labels(tmp_path / "expected.parquet")


def test_a_folder_and_a_pattern_stand_for_the_objects_that_files_would_be(
    score: Score, papers: pl.DataFrame, bucket: Bucket, tmp_path: Path
) -> None:
    names = ["a-b.parquet", "a/x.parquet", "a/deep/y.parquet", "c.parquet", "_left.parquet", ".hid/z.parquet", "c.txt"]
    for start, name in zip(range(0, 35, 5), names, strict=True):
        local = tmp_path / "dumps" / name
        local.parent.mkdir(parents=True, exist_ok=True)
        papers.slice(start, 5).write_parquet(local)
        bucket.put(f"dumps/{name}", local)
    bucket.put("dumps-of-others/x.parquet", tmp_path / "dumps" / "c.parquet")
    folder = tmp_path / "dumps"
    for pattern in ("", "/*.parquet", "/**/*.parquet", "/a*/*", "/a*/", "/?-[b].parquet", "/a/**"):
        assert score(f"{folder}{pattern}", "-o", tmp_path / "expected.parquet", "--no-reuse").code == 0
        done = score(bucket.url(f"dumps{pattern}"), "-o", tmp_path / "labels.parquet", "--no-reuse")
        assert done.code == 0, (pattern, done.stderr)
        assert _labels(tmp_path / "labels.parquet") == _labels(tmp_path / "expected.parquet"), pattern


def test_files_and_objects_are_one_input(score: Score, papers: pl.DataFrame, bucket: Bucket, tmp_path: Path) -> None:
    papers.head(5).write_parquet(tmp_path / "papers.parquet")
    papers.slice(5, 5).write_parquet(tmp_path / "more.parquet")
    bucket.put("more.parquet", tmp_path / "more.parquet")
    done = score(bucket.url("more.parquet"), tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet")
    assert done.code == 0, done.stderr
    assert [row["id"] for row in _labels(tmp_path / "labels.parquet")] == papers["id"][:10].to_list()


def test_only_the_bytes_of_needed_columns_are_read(
    score: Score, papers: pl.DataFrame, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    ballast = pl.Series("ballast", [rng.bytes(40_000) for _ in range(len(papers))])
    frame = papers.select("id", "title").with_columns(ballast, papers["abstract"])
    frame.write_parquet(tmp_path / "papers.parquet")
    bucket.put("papers.parquet", tmp_path / "papers.parquet")
    size, needed = (tmp_path / "papers.parquet").stat().st_size, papers.select("id", "title", "abstract")
    assert score(bucket.url("papers.parquet"), "-o", tmp_path / "labels.parquet").code == 0
    read = sum(request.answered_bytes for request in proxy.requests if request.method == "GET")
    assert size > 10_000_000
    assert read < needed.estimated_size() + 200_000  # two heads and footers of 64 kB


def test_an_object_that_changes_while_it_is_read_ends_the_run(
    score: Score, papers: pl.DataFrame, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    """At whatever request: no labels of a mixture, and 75. After the last it is another night's input."""
    papers.head(20).write_parquet(tmp_path / "papers.parquet")
    papers.slice(20, 20).write_parquet(tmp_path / "other.parquet")
    args = (bucket.url("papers.parquet"), "--part-rows", "7", "-o")
    bucket.put("papers.parquet", tmp_path / "papers.parquet")
    assert score(*args, tmp_path / "labels.parquet").code == 0
    requests = len(proxy.requests)
    assert requests > 5
    for change_at in range(1, requests):
        # A target of its own: the object put again may be the same to the second, and parts are taken up then.
        labels = tmp_path / f"labels-{change_at}.parquet"
        bucket.put("papers.parquet", tmp_path / "papers.parquet")
        proxy.requests.clear()

        def change(request: Request, change_at: int = change_at) -> None:
            if request.number == change_at:
                bucket.put("papers.parquet", tmp_path / "other.parquet")

        proxy.fault = change
        store._read_small.cache_clear()
        done = score(*args, labels)
        assert done.code == 75, (change_at, done.stderr)
        assert "changed while it was read" in done.stderr
        assert not labels.exists()


@pytest.mark.drawn(2)
@pytest.mark.parametrize(
    "fault", [Fault.BUSY, Fault.DROPPED, Fault.UNANSWERED, Fault.CUT_ANSWER, Fault.LATE], ids=lambda fault: fault.name
)
def test_a_store_that_fails_now_and_then_is_asked_again(
    score: Score,
    papers: pl.DataFrame,
    bucket: Bucket,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fault: Fault,
) -> None:
    papers.head(20).write_parquet(tmp_path / "papers.parquet")
    bucket.put("papers.parquet", tmp_path / "papers.parquet")
    assert score(tmp_path / "papers.parquet", "-o", tmp_path / "expected.parquet").code == 0
    every = 100 if fault is Fault.LATE else 3  # each costs the time that is waited for an answer
    proxy.fault = lambda request: fault if request.number % every == 0 else None
    proxy.delay_s = 1.5
    monkeypatch.setattr(client, "TIMEOUT_S", 1.0)
    store._read_small.cache_clear()
    done = score(bucket.url("papers.parquet"), "-o", tmp_path / "labels.parquet")
    assert done.code == 0, done.stderr
    assert "; try 2 of 6 in 0.0 s" in done.stderr
    assert _labels(tmp_path / "labels.parquet") == _labels(tmp_path / "expected.parquet")


def test_a_store_that_fails_for_good_ends_the_run_and_says_why(
    score: Score, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.fault = lambda _: Fault.BUSY
    done = score(bucket.url("papers.parquet"), "-o", tmp_path / "labels.parquet", "--quiet")
    assert done.code == 74
    assert f"{bucket.url('papers.parquet')}: the store failed 6 times, the last time: " in done.stderr
    assert "503" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(proxy.requests) == 6
    assert done.stderr.endswith("check its address and the network, and run again\n")


@pytest.mark.parametrize("name", ["missing.parquet", "missing/", "missing-*.parquet"])
def test_what_is_not_there_is_reported(score: Score, bucket: Bucket, tmp_path: Path, name: str) -> None:
    done = score(bucket.url(name), "-o", tmp_path / "labels.parquet")
    assert (done.code, done.stderr.count("\n")) == (66, 1)
    assert bucket.url(name) in done.stderr


def test_a_damaged_object_is_reported_and_can_be_skipped(
    score: Score, source: Path, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("dump/a.parquet", source)
    bucket.put("dump/b.parquet", source.read_bytes()[:-100])
    assert score(bucket.url("dump/"), "-o", tmp_path / "labels.parquet").code == 65
    done = score(bucket.url("dump/"), "-o", tmp_path / "labels.parquet", "--on-error", "skip-file")
    assert done.code == 0
    assert f"{bucket.url('dump/b.parquet')} is skipped" in done.stderr
    assert len(_labels(tmp_path / "labels.parquet")) == 5


def test_a_web_address_is_read_only_where_that_is_allowed(
    score: Score, source: Path, bucket: Bucket, s3_server: str, tmp_path: Path
) -> None:
    bucket.put("a b.parquet", source)
    url = f"{s3_server}/{bucket.name}/a%20b.parquet?X-Amz-Signature=secret"
    done = score(url, "-o", tmp_path / "labels.parquet")
    assert done.code == 2
    assert "--allow-http" in done.stderr
    assert "secret" not in done.stderr
    done = score(url, "-o", tmp_path / "labels.parquet", "--allow-http")
    assert done.code == 0, done.stderr
    assert len(_labels(tmp_path / "labels.parquet")) == 5


def test_many_bytes_may_take_longer_than_few(bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("part", bytes(4 << 20))
    monkeypatch.setattr(client, "TIMEOUT_S", 1.0)
    place = store.Store.of(ObjectUrl.parse(bucket.url("part")), client.StoreSettings())
    version = place.look("part")
    assert version is not None
    proxy.requests.clear()
    proxy.fault, proxy.delay_s = (lambda _: Fault.LATE), 1.5
    assert place.read("part", version, 0, version.size) == bytes(4 << 20)
    assert len(proxy.requests) == 1


def test_an_answer_in_pieces_may_take_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the list of a large bucket does. A real store on this machine would need many thousands of objects for it."""

    async def pages(pauses_s: Iterable[float]) -> AsyncIterator[float]:
        for pause_s in pauses_s:
            await asyncio.sleep(pause_s)
            yield pause_s

    async def read(*pauses_s: float) -> list[float]:
        return [page async for page in client.each_in_time(pages(pauses_s))]

    monkeypatch.setattr(client, "TIMEOUT_S", 1.0)
    assert asyncio.run(read(0.4, 0.4, 0.4)) == [0.4] * 3
    with pytest.raises(TimeoutError):
        asyncio.run(read(0.1, 60))


def test_a_refusal_is_reported_without_another_try(
    score: Score, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = score(bucket.url("x"), "-o", tmp_path / "labels.parquet", "--endpoint-url", "ftp://127.0.0.1")
    assert done.code == 2
    assert "endpoint" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_ENDPOINT_URL", "localhost:9000"),
        ("AWS_ENDPOINT_URL_S3", "http://localhost:99999"),
        ("AWS_ENDPOINT_URL", "http://a<b"),
        ("AWS_REGION", "us-east-1\n"),
        ("AWS_ACCESS_KEY_ID", "testing\n"),
        ("AWS_SESSION_TOKEN", "a secret token"),
    ],
)
def test_what_can_be_no_part_of_a_request_is_refused(
    score: Score, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = score(bucket.url("x"), "-o", tmp_path / "labels.parquet")
    assert (done.code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_an_endpoint_is_one_in_capitals_too(
    score: Score,
    source: Path,
    bucket: Bucket,
    s3_server: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
) -> None:
    bucket.put("papers.parquet", source)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(name, s3_server.replace("http", "HTTP"))
    done = score(bucket.url("papers.parquet"), "-o", tmp_path / "labels.parquet")
    assert done.code == 0, done.stderr


@pytest.mark.parametrize("config", ["", "no section", "[profile night]\nregion = us-east-1\n"])
def test_a_profile_without_credentials_is_refused(
    score: Score, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "night")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    (tmp_path / "home" / ".aws").mkdir(parents=True)
    (tmp_path / "home" / ".aws" / "config").write_text(config)
    done = score(bucket.url("x"), "-o", tmp_path / "labels.parquet")
    assert (done.code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "AWS_PROFILE" in done.stderr


def test_a_marker_of_a_folder_is_no_paper(score: Score, source: Path, bucket: Bucket, tmp_path: Path) -> None:
    for key in ("dump.parquet/", "dump.parquet/2024.parquet/"):
        bucket.put(key, b"")
    bucket.put("dump.parquet/a.parquet", source)
    for name in ("", "dump.parquet", "*.parquet"):
        done = score(bucket.url(name), "-o", tmp_path / "labels.parquet")
        assert done.code == 0, done.stderr
    bucket.put("dump.parquet/empty.parquet", b"")
    done = score(bucket.url(""), "-o", tmp_path / "labels.parquet")
    assert done.code == 65
    assert "dump.parquet/empty.parquet: is empty" in done.stderr


def test_the_missing_package_is_named(
    score: Score, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "find_spec", lambda _: None)
    done = score(bucket.url("x"), "-o", tmp_path / "labels.parquet")
    assert done.code == 2
    assert "pip install 'ro32[cloud]'" in done.stderr
