"""Names that a store may hold and the library does not ask for: each is reported at once, by name."""

from pathlib import Path

import pytest

from tests.command_line import Score
from tests.storage.bucket import Bucket
from tests.storage.proxy import Proxy

NAMES = ["dump/../odd.parquet", "dump/./odd.parquet", "dump//odd.parquet", "dump/\x01odd.parquet"]


@pytest.mark.parametrize("name", [*NAMES, "/odd.parquet", "/"])
def test_such_a_name_is_refused(score: Score, source: Path, bucket: Bucket, tmp_path: Path, name: str) -> None:
    for args in (
        (bucket.url(name), "-o", tmp_path / "labels.parquet"),
        (source, "-o", bucket.url(name)),
        (source, "-o", bucket.url(f"{name}/")),
        (source, "-o", tmp_path / "labels.parquet", "--reuse", bucket.url(name)),
    ):
        done = score(*args)
        assert (done.code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "no part of a name between slashes may be empty, '.' or '..', or hold control characters" in done.stderr
    assert bucket.list() == []


@pytest.mark.parametrize("name", ["my bucket", "a\tb", "<a>", "..", "a?b", "a#b", "a*"])
def test_no_bucket_has_such_a_name(score: Score, source: Path, bucket: Bucket, tmp_path: Path, name: str) -> None:
    assert bucket
    for args in ((f"s3://{name}/a.parquet", "-o", tmp_path / "l.parquet"), (source, "-o", f"s3://{name}/l.parquet")):
        done = score(*args)
        assert (done.code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "no bucket has the name" in done.stderr


@pytest.mark.drawn(2)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("asked", ["dump/", "dump/*.parquet"])
def test_an_object_of_such_a_name_is_reported_and_the_others_can_be_named(
    score: Score, source: Path, bucket: Bucket, proxy: Proxy, tmp_path: Path, name: str, asked: str
) -> None:
    for key in ("dump/papers.parquet", "dump/2024/papers.parquet", name):
        bucket.put(key, source)
    proxy.requests.clear()
    done = score(bucket.url(asked), "-o", tmp_path / "labels.parquet")
    assert (done.code, done.stderr.count("\n")) == (65, 1), done.stderr
    assert "odd.parquet" in done.stderr
    assert "rename or remove that object, or name the others" in done.stderr
    assert done.stderr.rstrip("\n").isprintable()
    assert len([request for request in proxy.requests if "list-type" in request.path]) == 1  # no use in trying again
    others = (bucket.url("dump/papers.parquet"), bucket.url("dump/2024/"))
    assert score(*others, "-o", tmp_path / "labels.parquet").code == 0
