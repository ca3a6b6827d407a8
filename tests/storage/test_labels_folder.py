"""A folder of labels in an object store: the contract that a local one has."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow.parquet as pq
import pytest

from ro32.errors import Interrupted, TryAgainError
from ro32.folder.update import score_folder
from ro32.model.classifier import Classifier
from ro32.run.job import Settings
from ro32.run.walk import Progress, Summary
from ro32.storage.client import StoreSettings
from ro32.storage.lock import only_run
from ro32.storage.object_target import ObjectTarget
from ro32.storage.objects import StoredObject
from ro32.storage.urls import ObjectUrl
from tests.command_line import Score
from tests.storage.bucket import Bucket
from tests.storage.proxy import Proxy, Request

NAMES = ["2023/a.parquet", "2024/a.parquet", "b.parquet"]
LABELS = [f"labels/{name}" for name in NAMES]
ALL = sorted([*LABELS, "labels/_manifest.json"])
Run = Callable[..., Summary]


@pytest.fixture
def expected(score: Score, dump: Path, tmp_path: Path) -> Path:
    """The labels that a local run puts into a local folder."""
    assert score(dump, "-o", f"{tmp_path}/expected/").code == 0
    return tmp_path / "expected"


@pytest.fixture
def run(dump: Path, bucket: Bucket, classifier: Classifier) -> Run:
    """Label the dump, four rows a part."""
    assert dump

    def call(**options: Any) -> Summary:
        settings = Settings(part_rows=4)
        return score_folder(
            bucket.url("dump/"), bucket.url("labels/"), classifier=classifier, settings=settings, **options
        )

    return call


def stop_after(parts: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.parts_done >= parts:
            raise Interrupted(15)

    return on_progress


def written(bucket: Bucket) -> list[str]:
    """List what is in the bucket besides the papers."""
    return [key for key in bucket.list() if not key.startswith("dump/")]


def check_labels(bucket: Bucket, expected: Path) -> None:
    """Check that the folder has all labels and no more, and that the manifest tells of the very objects."""
    assert written(bucket) == ALL
    manifest = json.loads(bucket.get("labels/_manifest.json"))
    assert [file["name"] for file in manifest["files"]] == NAMES
    for file in manifest["files"]:
        content = bucket.get(f"labels/{file['name']}")
        assert (file["rows"], file["size_bytes"]) == (10, len(content))
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert bucket.table(f"labels/{file['name']}").equals(pq.read_table(expected / file["name"]))


def test_each_object_is_written_once_and_the_manifest_last(
    score: Score, dump: Path, bucket: Bucket, expected: Path, proxy: Proxy
) -> None:
    done = score(dump, "-o", bucket.url("labels/"))
    assert done.code == 0, done.stderr
    assert f"{bucket.url('labels/')}: 30 papers (30 scored)" in done.stderr
    assert "3 files (3 new)" in done.stderr
    check_labels(bucket, expected)
    writes = [request.path for request in proxy.requests if request.method == "PUT" and "/labels/" in request.path]
    seen = [path for path in writes if "/." not in path]
    assert seen == [f"/{bucket.name}/{key}" for key in [*LABELS, "labels/_manifest.json"]]


def test_a_whole_bucket_is_a_folder_too(
    score: Score, dump: Path, make_bucket: Callable[[str], Bucket], bucket: Bucket
) -> None:
    other = make_bucket(f"{bucket.name}-labels")
    assert score(dump, "-o", other.url("")).code == 0
    assert other.list() == sorted([*NAMES, "_manifest.json"])


def test_only_what_changed_is_replaced(
    score: Score, papers: pl.DataFrame, dump: Path, bucket: Bucket, tmp_path: Path
) -> None:
    args = (bucket.url("dump/"), "-o", bucket.url("labels/"), "--report", tmp_path / "run.json")
    assert score(*args).code == 0
    before = bucket.e_tags()
    papers.slice(20, 12).write_parquet(dump / "b.parquet")
    bucket.put("dump/b.parquet", dump / "b.parquet")
    status = json.loads(score(*args, "--status", "--json").stdout)
    assert (status["unchanged_files"], status["to_score"], status["target"]) == (2, 2, bucket.url("labels/"))
    assert bucket.e_tags() == before | {"dump/b.parquet": bucket.e_tags()["dump/b.parquet"]}
    done = score(*args)
    assert "3 files (1 new, 2 unchanged)" in done.stderr
    assert "2 scored, 30 reused" in done.stderr
    after = bucket.e_tags()
    assert {key for key in LABELS if after[key] != before[key]} == {"labels/b.parquet"}
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["labels"]["path"] == bucket.url("labels/")
    assert report["labels"]["run_id"] == report["run_id"]


def test_labels_that_the_store_vouches_for_are_not_read(
    run: Run, bucket: Bucket, expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    opened: list[str] = []
    read = StoredObject.open

    def note(labels: StoredObject, mode: str = "rb") -> BinaryIO:
        opened.extend([labels.key] if labels.key in LABELS else [])
        return read(labels, mode)

    monkeypatch.setattr(StoredObject, "open", note)
    run()
    assert opened == []
    manifest = json.loads(bucket.get("labels/_manifest.json"))
    for file in manifest["files"]:
        del file["e_tag"]  # as earlier versions wrote it
    bucket.put("labels/_manifest.json", json.dumps(manifest).encode())
    run()
    assert sorted(opened) == sorted(LABELS)
    check_labels(bucket, expected)


def test_labels_without_input_go_only_when_asked(
    score: Score, dump: Path, bucket: Bucket, papers: pl.DataFrame, tmp_path: Path
) -> None:
    assert score(dump, "-o", bucket.url("labels/")).code == 0
    (dump / NAMES[0]).unlink()
    papers.write_parquet(tmp_path / "not-ours.parquet")
    bucket.put("labels/not-ours.parquet", tmp_path / "not-ours.parquet")
    again = score(dump, "-o", bucket.url("labels/"))
    assert "1 labels file has no input file: 2023/a.parquet; --prune removes them" in again.stderr
    assert set(LABELS) < set(bucket.list())
    assert "2 files (2 unchanged, 1 removed)" in score(dump, "-o", bucket.url("labels/"), "--prune").stderr
    assert written(bucket) == sorted([*ALL[2:], ALL[1], "labels/not-ours.parquet"])


@pytest.mark.drawn(1)
@pytest.mark.parametrize("parts", [1, 4, 9])
def test_a_killed_run_goes_on_where_it_was(run: Run, bucket: Bucket, expected: Path, parts: int) -> None:
    with pytest.raises(Interrupted):
        run(on_progress=stop_after(parts))
    left = written(bucket)
    assert len(left) == parts
    assert all("/.a.parquet.parts/" in key or "/.b.parquet.parts/" in key for key in left)
    assert run().resumed == sum(([4, 4, 2] * 3)[:parts])
    check_labels(bucket, expected)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("damage", [None, 7, 900])
def test_labels_that_no_manifest_vouches_for_are_read(
    run: Run, bucket: Bucket, expected: Path, damage: int | None
) -> None:
    run()
    bucket.delete("labels/_manifest.json")
    if damage is not None:
        content = bytearray(bucket.get(LABELS[0]))
        content[damage] ^= 1
        bucket.put(LABELS[0], bytes(content))
    summary = run()
    assert summary.folder is not None
    assert summary.folder.replaced == (0 if damage is None else 1)
    check_labels(bucket, expected)


@pytest.mark.parametrize("key", [LABELS[1], "labels/_manifest.json"])
def test_what_somebody_else_wrote_meanwhile_stays(
    score: Score, dump: Path, bucket: Bucket, proxy: Proxy, key: str
) -> None:
    def appear(request: Request) -> None:
        if request.method == "PUT" and request.path == f"/{bucket.name}/{key}":
            bucket.put(key, b"of somebody else")

    proxy.fault = appear
    done = score(dump, "-o", bucket.url("labels/"))
    assert done.code == 75, done.stderr
    assert f"{bucket.url(key)}: another process wrote it meanwhile, and its version stays" in done.stderr
    assert bucket.get(key) == b"of somebody else"


def test_two_runs_for_one_folder_exclude_each_other(run: Run, score: Score, dump: Path, bucket: Bucket) -> None:
    target = ObjectTarget.of(ObjectUrl.parse(bucket.url("labels/_manifest.json")), StoreSettings())
    with only_run(target):
        assert written(bucket) == ["labels/._manifest.json.lock"]
        with pytest.raises(TryAgainError, match=f"process {os.getpid()} on "):
            run()
        assert f"process {os.getpid()} on " in score(dump, "-o", bucket.url("labels/"), "--status").stdout
    assert written(bucket) == []


def test_what_cannot_be_is_reported_before_any_work(score: Score, dump: Path, bucket: Bucket) -> None:
    papers = bucket.url("dump/")
    for target, code, message in (
        (bucket.url("dump/labels/"), 73, "lie in each other"),
        (papers, 73, "lie in each other"),
        (bucket.url(""), 73, "lie in each other"),
        (bucket.url("dump/2024/"), 73, "lie in each other"),
        ("s3://no-such-bucket/labels/", 73, "404 Not Found: NoSuchBucket; check name"),
        ("https://example.org/labels/", 2, "written to files, s3://, gs:// and az://"),
        ("s3://key:secret@bucket/labels/", 2, "credentials must not be part of a name"),
    ):
        done = score(papers, "-o", target)
        assert (done.code, done.stderr.count("\n")) == (code, 1), (target, done.stderr)
        assert message in done.stderr
        assert "secret" not in done.stderr
    assert dump
    assert written(bucket) == []


@pytest.mark.parametrize(
    ("named", "target"),
    [
        ("dump/20*", "dump/2024/labels.parquet"),
        ("dump/20*/", "dump/2024/deep/labels.parquet"),
        ("dump/20*", "dump/2024/labels/"),
        ("dump/**", "dump/labels/"),
        ("**/[ab].parquet", "labels/"),
    ],
)
def test_labels_that_a_pattern_would_find_are_refused_the_first_time(
    score: Score, dump: Path, bucket: Bucket, named: str, target: str
) -> None:
    assert dump
    bucket.delete("dump/2023/a.parquet")  # labels of patterns take the files' names alone, and two are of one name
    before = bucket.list()
    done = score(bucket.url(named), "-o", bucket.url(target))
    assert (done.code, done.stderr.count("\n")) == (73, 1), done.stderr
    assert "would be read as papers" in done.stderr or "would read its labels as papers" in done.stderr
    assert bucket.list() == before
