"""Labels in an object store: the contract that files have."""

import json
import signal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from ro32.data.labels import read_provenance
from ro32.errors import Interrupted
from ro32.run.parts import PartStore
from ro32.storage.client import ConflictError, StoreSettings
from ro32.storage.store import Store
from ro32.storage.urls import ObjectUrl
from tests.command_line import Score
from tests.storage.bucket import Bucket
from tests.storage.proxy import Fault, Proxy, Request


@pytest.fixture
def papers_url(papers: pl.DataFrame, bucket: Bucket, tmp_path: Path) -> str:
    """Forty papers, in the bucket and in papers.parquet."""
    papers.head(40).write_parquet(tmp_path / "papers.parquet")
    bucket.put("papers.parquet", tmp_path / "papers.parquet")
    return bucket.url("papers.parquet")


@pytest.fixture
def expected(score: Score, papers_url: str, tmp_path: Path) -> list[dict[str, object]]:
    """What an undisturbed run over local files writes."""
    assert papers_url
    assert score(tmp_path / "papers.parquet", "-o", tmp_path / "expected.parquet").code == 0
    rows: list[dict[str, object]] = pq.read_table(tmp_path / "expected.parquet").to_pylist()
    return rows


def test_labels_appear_and_nothing_else_is_left(
    score: Score, papers_url: str, bucket: Bucket, expected: list[dict[str, object]]
) -> None:
    done = score(papers_url, "-o", bucket.url("out/labels.parquet"), "--part-rows", "9")
    assert done.code == 0, done.stderr
    assert done.stderr.startswith(f"{bucket.url('out/labels.parquet')}: 40 papers")
    assert bucket.list() == ["out/labels.parquet", "papers.parquet"]
    assert bucket.table("out/labels.parquet").to_pylist() == expected


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_other_forms_are_written_too(
    score: Score, papers_url: str, bucket: Bucket, tmp_path: Path, suffix: str
) -> None:
    assert score(papers_url, "-o", bucket.url(f"labels.{suffix}")).code == 0
    assert score(tmp_path / "papers.parquet", "-o", tmp_path / f"labels.{suffix}").code == 0
    assert bucket.get(f"labels.{suffix}") == (tmp_path / f"labels.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_no_papers_are_labels_too(
    score: Score, papers: pl.DataFrame, bucket: Bucket, tmp_path: Path, suffix: str
) -> None:
    papers.clear().write_parquet(tmp_path / "papers.parquet")
    for target in (bucket.url(f"labels.{suffix}"), tmp_path / f"labels.{suffix}"):
        done = score(tmp_path / "papers.parquet", "-o", target)
        assert done.code == 0, done.stderr
    if suffix != "parquet":
        assert bucket.get(f"labels.{suffix}") == (tmp_path / f"labels.{suffix}").read_bytes()


def test_a_name_may_be_longer_than_that_of_a_file(score: Score, source: Path, bucket: Bucket) -> None:
    key = f"{'a' * 300}.parquet"
    done = score(source, "-o", bucket.url(key))
    assert done.code == 0, done.stderr
    assert bucket.list() == [key]


def test_only_what_changed_is_scored(score: Score, papers: pl.DataFrame, bucket: Bucket, tmp_path: Path) -> None:
    args = (bucket.url("papers.parquet"), "-o", bucket.url("labels.parquet"))
    for rows in (40, 45):
        papers.head(rows).write_parquet(tmp_path / "papers.parquet")
        bucket.put("papers.parquet", tmp_path / "papers.parquet")
        done = score(*args)
        assert done.code == 0, done.stderr
    assert "5 scored, 40 reused" in done.stderr
    done = score(bucket.url("papers.parquet"), "-o", tmp_path / "labels.parquet", "--reuse", args[2])
    assert "45 reused" in done.stderr
    assert score(args[0], "-o", tmp_path / "labels.parquet", "--reuse", bucket.url("none.parquet")).code == 65


def test_a_killed_run_is_resumed_and_its_damaged_parts_are_not_taken(
    score: Score,
    papers_url: str,
    bucket: Bucket,
    expected: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    args = (papers_url, "-o", bucket.url("labels.parquet"), "--part-rows", "10", "--report", tmp_path / "run.json")
    saved = PartStore.save

    def save_until_stopped(self: PartStore, part: object, finished: object) -> None:
        saved(self, part, finished)  # type: ignore[arg-type]
        if len([key for key in bucket.list() if ".parts/" in key]) == 3:
            raise Interrupted(signal.SIGTERM)

    with monkeypatch.context() as stopped:
        stopped.setattr(PartStore, "save", save_until_stopped)
        assert score(*args).code == 143
    parts = [key for key in bucket.list() if key.startswith(".labels.parquet.parts/")]
    assert len(parts) == 3
    content = bytearray(bucket.get(parts[1]))
    content[200] ^= 1
    bucket.put(parts[1], bytes(content))
    status = score(*args[:-2], "--status", "--json")
    assert json.loads(status.stdout)["finished"] == 20, status.stderr
    done = score(*args)
    assert done.code == 0, done.stderr
    assert json.loads((tmp_path / "run.json").read_text())["papers"]["resumed"] == 20
    assert bucket.list() == ["labels.parquet", "papers.parquet"]
    assert bucket.table("labels.parquet").to_pylist() == expected


def test_what_another_run_left_is_named_and_removed_and_nothing_else(
    score: Score, papers_url: str, bucket: Bucket
) -> None:
    part = f".labels.parquet.parts/{32 * '0'}/00000000-{64 * 'a'}.parquet"
    foreign = [".labels.parquet.parts/0123/notes.txt", f".labels.parquet.parts/{32 * '0'}/part-1.parquet"]
    for key in (part, *foreign):
        bucket.put(key, b"part")
    status = score(papers_url, "-o", bucket.url("labels.parquet"), "--status")
    assert status.code == 0, status.stderr
    assert f"orphaned    {bucket.url(part)}, 0.0 MB" in status.stdout
    assert "notes.txt" not in status.stdout
    assert score(papers_url, "-o", bucket.url("labels.parquet")).code == 0
    assert bucket.list() == sorted([*foreign, "labels.parquet", "papers.parquet"])


@pytest.mark.drawn(3)
@pytest.mark.parametrize("there", [False, True], ids=["nothing before", "labels before"])
@pytest.mark.parametrize("moment", ["/.labels.parquet.lock", "/.labels.parquet.parts/", "/labels.parquet"])
def test_labels_that_somebody_else_wrote_meanwhile_stay(
    score: Score, papers_url: str, bucket: Bucket, proxy: Proxy, moment: str, *, there: bool
) -> None:
    """Before the lock is taken, while papers are scored, and in the last moment."""
    if there:
        bucket.put("labels.parquet", b"older")

    def appear(request: Request) -> None:
        if request.method == "PUT" and f"/{bucket.name}{moment}" in request.path:
            bucket.put("labels.parquet", b"of somebody else")

    proxy.fault = appear
    done = score(papers_url, "-o", bucket.url("labels.parquet"))
    assert done.code == 75, done.stderr
    assert "another process wrote it meanwhile, and its version stays" in done.stderr
    assert bucket.get("labels.parquet") == b"of somebody else"


def test_what_cannot_be_written_to_is_reported_before_any_work(score: Score, papers_url: str, bucket: Bucket) -> None:
    for target, code in {
        "s3://no-such-bucket/labels.parquet": 73,
        f"s3://{bucket.name}": 73,
        papers_url: 73,
        "https://example.org/labels.parquet": 2,
        "s3://key:secret@bucket/labels.parquet": 2,
    }.items():
        done = score(papers_url, "-o", target)
        assert done.code == code, (target, done.stderr)
        assert "secret" not in done.stderr
        assert done.stderr.count("\n") == 1
    assert bucket.list() == ["papers.parquet"]


@pytest.mark.parametrize("name", ["out/labels.parquet", "out/"])
@pytest.mark.parametrize("part", ["HEAD ", "GET list-type", "GET .parts/", "PUT .lock"])
def test_labels_that_the_store_refuses_are_an_output(
    score: Score, source: Path, bucket: Bucket, proxy: Proxy, name: str, part: str
) -> None:
    method, piece = part.split(" ")

    def forbid(request: Request) -> Fault | None:
        return Fault.FORBIDDEN if request.method == method and piece in request.path else None

    proxy.fault = forbid
    done = score(source, "-o", bucket.url(name))
    assert (done.code, done.stderr.count("\n")) == (73, 1), done.stderr
    assert "the store refuses it" in done.stderr
    assert not {"out/labels.parquet", "out/papers.parquet"} & set(bucket.list())


def test_labels_named_for_reuse_are_one_object_that_can_be_read(
    score: Score, source: Path, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    for key in ("older/a.parquet", "older/b.parquet"):
        bucket.put(key, source)
    done = score(source, "-o", tmp_path / "labels.parquet", "--reuse", bucket.url("older/"))
    assert (done.code, "it is 2 objects" in done.stderr) == (65, True), done.stderr
    proxy.fault = lambda _: Fault.FORBIDDEN
    done = score(source, "-o", tmp_path / "labels.parquet", "--reuse", bucket.url("older/a.parquet"))
    assert (done.code, "403 Forbidden" in done.stderr) == (65, True), done.stderr


def test_parts_that_cannot_be_removed_do_not_matter(score: Score, source: Path, bucket: Bucket, proxy: Proxy) -> None:
    def expire(request: Request) -> Fault | None:
        expired = any(seen.method == "PUT" and "out/labels.parquet" in seen.path for seen in proxy.requests)
        return Fault.FORBIDDEN if expired and "list-type" in request.path else None

    proxy.fault = expire
    done = score(source, "-o", bucket.url("out/labels.parquet"))
    assert done.code == 0, done.stderr
    assert "out/labels.parquet" in bucket.list()


def test_too_many_unscored_papers_publish_nothing(
    score: Score, papers: pl.DataFrame, bucket: Bucket, tmp_path: Path
) -> None:
    papers.head(10).with_columns(title=pl.lit(""), abstract=pl.lit("")).write_parquet(tmp_path / "papers.parquet")
    bucket.put("labels.parquet", b"older")
    done = score(tmp_path / "papers.parquet", "-o", bucket.url("labels.parquet"))
    assert done.code == 65
    assert bucket.get("labels.parquet") == b"older"


def test_no_secret_reaches_what_a_run_writes(
    score: Score, source: Path, bucket: Bucket, s3_server: str, tmp_path: Path
) -> None:
    bucket.put("papers.parquet", source)
    web = f"{s3_server.replace('//', '//somebody:hush@')}/{bucket.name}/papers.parquet?X-Amz-Signature=hush"
    report = tmp_path / "run.json"
    more = ("--allow-http", "--report", report, "--log-format", "json")
    for args in (
        (web, "-o", tmp_path / "labels.parquet"),
        (web, "-o", bucket.url("labels.parquet")),
        (web.replace("papers", "missing"), "-o", tmp_path / "labels.parquet"),
        (web, "-o", tmp_path / "more.parquet", "--reuse", web),
    ):
        done = score(*args, *more)
        assert done.stderr
        assert "hush" not in done.stderr + done.stdout + report.read_text()
    assert "hush" not in str(read_provenance(tmp_path / "labels.parquet"))
    assert b"hush" not in bucket.get("labels.parquet")


def test_a_write_whose_answer_is_lost_is_known_by_its_mark(bucket: Bucket, proxy: Proxy) -> None:
    place = Store.of(ObjectUrl.parse(bucket.url("x")), StoreSettings())
    proxy.fault = lambda request: Fault.UNANSWERED if request.number == 0 else None
    version = place.write("x", b"mine", over=None)
    assert bucket.get("x") == b"mine"
    proxy.fault = lambda _: None
    with pytest.raises(ConflictError):
        place.write("x", b"theirs", over=None)
    place.write("x", b"newer", over=version)
    with pytest.raises(ConflictError):
        place.write("x", b"newest", over=version)
    assert bucket.get("x") == b"newer"


def test_each_of_many_objects_is_removed_though_each_request_fails_once(bucket: Bucket, proxy: Proxy) -> None:
    keys = [f"{number}.parquet" for number in range(8)]
    for key in keys:
        bucket.put(key, b"part")
    asked = set[str]()

    def fail_once(request: Request) -> Fault | None:
        first = request.method == "DELETE" and request.path not in asked
        asked.add(request.path)
        return Fault.BUSY if first else None

    proxy.fault = fail_once
    Store.of(ObjectUrl.parse(bucket.url("")), StoreSettings()).remove(keys)
    assert bucket.list() == []
