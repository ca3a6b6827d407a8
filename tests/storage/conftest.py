"""A real S3 server on loopback, and a bucket of it for each test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from ro32.storage import client
from tests.storage.bucket import CREDENTIALS, Bucket
from tests.storage.proxy import Proxy, proxy_of

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Run moto's server; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def make_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Bucket]:
    """Make empty buckets. Credentials and an endpoint that reach them are in the environment."""
    for name, value in {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": s3_server,
        "HOME": str(tmp_path / "home"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    amazon: Any = boto3.client("s3", region_name="us-east-1", endpoint_url=s3_server)

    def make(name: str) -> Bucket:
        bucket = Bucket(amazon, name)
        amazon.create_bucket(Bucket=name)
        for key in bucket.list():
            bucket.delete(key)
        return bucket

    return make


@pytest.fixture
def bucket(make_bucket: Callable[[str], Bucket]) -> Bucket:
    """An empty bucket."""
    return make_bucket(f"bucket-{next(_NUMBERS)}")


@pytest.fixture
def proxy(bucket: Bucket, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Put a proxy between runs and the bucket, and let requests be tried again at once."""
    assert bucket
    with proxy_of(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setattr(client, "FIRST_PAUSE_S", 0.001)
        monkeypatch.setattr(client, "TIMEOUT_S", 5.0)
        yield proxy


@pytest.fixture
def dump(papers: pl.DataFrame, bucket: Bucket, tmp_path: Path) -> Path:
    """Three files of ten papers each, two of them of one name, on the disk and below dump/ in the bucket."""
    for number, name in enumerate(("2023/a.parquet", "2024/a.parquet", "b.parquet")):
        path = tmp_path / "dump" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        papers.slice(10 * number, 10).write_parquet(path)
        bucket.put(f"dump/{name}", path)
    return tmp_path / "dump"
