"""Stores that cannot be used: each ends a command with the code and the advice of its cause."""

import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.command_line import Score
from tests.storage.bucket import CREDENTIALS, Bucket
from tests.storage.proxy import Fault, Proxy


def test_a_wrong_region_is_reported_without_another_try(
    score: Score, source: Path, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.fault = lambda _: Fault.REDIRECTED
    done = score(bucket.url("papers.parquet"), "-o", tmp_path / "labels.parquet")
    assert (done.code, done.stderr.count("\n")) == (66, 1), done.stderr
    assert "check name, region and credentials" in done.stderr
    assert score(source, "-o", bucket.url("labels.parquet")).code == 73


def test_a_web_server_without_ranges_is_reported_without_another_try(
    score: Score, source: Path, tmp_path: Path
) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(source.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{source.name}"
        done = score(url, "-o", tmp_path / "labels.parquet", "--allow-http")
        server.shutdown()
    assert (done.code, done.stderr.strip().endswith("; download it")) == (66, True), done.stderr


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [("http://127.0.0.1:1", "Connection refused"), ("https://127.0.0.1:{port}", "InvalidMessage")],
)
def test_why_a_store_cannot_be_connected_to_is_reported(
    score: Score, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str, reason: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.format(port=urlsplit(proxy.url).port))
    done = score("s3://bucket/papers.parquet", "-o", tmp_path / "labels.parquet", "--quiet")
    assert (done.code, f"error sending request: {reason}; check its address" in done.stderr) == (74, True), done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "code", "reason"),
    [
        ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1", 66, "no credentials were found"),
        ("AWS_ACCESS_KEY_ID", "testing", 2, "Missing SecretAccessKey"),
    ],
)
def test_missing_credentials_are_reported(
    score: Score,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    value: str,
    code: int,
    reason: str,
) -> None:
    assert proxy
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, value)
    done = score(f"s3://{variable.lower()}/papers.parquet", "-o", tmp_path / "labels.parquet", "--quiet")
    assert (done.code, done.stderr.count("\n")) == (code, 1), done.stderr
    assert reason in done.stderr
    assert "set the variables that docs/scale.md lists" in done.stderr


def test_a_thread_of_the_library_aborts_no_process(python: Path, bucket: Bucket, tmp_path: Path) -> None:
    """Wide open, by a sleep, is the moment in which one has handed its answer over and not yet left Python."""
    program = (
        "import time; from asyncio.selector_events import BaseSelectorEventLoop as loop; wake = loop._write_to_self;"
        "loop._write_to_self = lambda self: (wake(self), time.sleep(0.1)); from ro32.cli.score import main; main()"
    )
    args = [str(python), "-c", program, bucket.url("none.parquet"), "-o", str(tmp_path / "labels.parquet")]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == 66, done.stderr
