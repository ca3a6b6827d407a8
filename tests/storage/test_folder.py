"""A folder of labels of papers in an object store; the folder itself is local."""

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.command_line import Score
from tests.storage.bucket import Bucket

NAMES = ["2023/a.parquet", "2024/a.parquet", "b.parquet"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_each_object_has_the_labels_that_its_file_has(
    score: Score, dump: Path, bucket: Bucket, tmp_path: Path, slash: str
) -> None:
    assert score(dump, "-o", f"{tmp_path}/expected/").code == 0
    done = score(bucket.url(f"dump{slash}"), "-o", f"{tmp_path}/labels/")
    assert done.code == 0, done.stderr
    manifest = json.loads((tmp_path / "labels" / "_manifest.json").read_text())
    assert [file["name"] for file in manifest["files"]] == NAMES
    for name in NAMES:
        assert pq.read_table(tmp_path / "labels" / name).equals(pq.read_table(tmp_path / "expected" / name))


def test_objects_of_a_pattern_give_their_names_alone(score: Score, dump: Path, bucket: Bucket, tmp_path: Path) -> None:
    assert dump
    done = score(bucket.url("dump/2024/*"), bucket.url("dump/b.parquet"), "-o", f"{tmp_path}/labels/")
    assert done.code == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "labels").iterdir() if path.suffix == ".parquet") == [
        "a.parquet",
        "b.parquet",
    ]
    done = score(bucket.url("dump/*/a.parquet"), "-o", f"{tmp_path}/labels/")
    assert done.code == 2
    assert "both have the labels a.parquet" in done.stderr


def test_only_labels_of_objects_that_changed_are_replaced(
    score: Score, papers: pl.DataFrame, dump: Path, bucket: Bucket, tmp_path: Path
) -> None:
    args = (bucket.url("dump/"), "-o", f"{tmp_path}/labels/")
    assert score(*args).code == 0
    papers.slice(20, 12).write_parquet(dump / "b.parquet")
    bucket.put("dump/b.parquet", dump / "b.parquet")
    status = score(*args, "--status", "--json")
    assert json.loads(status.stdout)["unchanged_files"] == 2
    done = score(*args)
    assert "3 files (1 new, 2 unchanged)" in done.stderr
    assert "2 scored" in done.stderr
