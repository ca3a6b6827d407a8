"""One run at a time for labels in a store: the lock is renewed, runs out, and outlives no run on the same machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ro32.errors import TryAgainError
from ro32.storage import object_lock as lock
from ro32.storage.client import StoreSettings
from ro32.storage.object_lock import holder, only_run
from ro32.storage.object_target import ObjectTarget
from ro32.storage.urls import ObjectUrl
from tests.command_line import Score
from tests.storage.bucket import Bucket
from tests.storage.proxy import Fault, Proxy, Request

LOCK = ".labels.parquet.lock"
HOLD = """
import sys, time
from ro32.storage.client import StoreSettings
from ro32.storage.object_lock import only_run
from ro32.storage.object_target import ObjectTarget
from ro32.storage.urls import ObjectUrl
with only_run(ObjectTarget.of(ObjectUrl.parse(sys.argv[1]), StoreSettings())):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def target(bucket: Bucket) -> ObjectTarget:
    """Labels that are not there yet."""
    return ObjectTarget.of(ObjectUrl.parse(bucket.url("labels.parquet")), StoreSettings())


def sign(bucket: Bucket, **changed: object) -> None:
    """Leave a lock as another host would."""
    holder = {
        "host": "elsewhere",
        "pid": 7,
        "since": "2026-11-24T02:15:00+00:00",
        "kernel": "other",
        "process_start": "1",
    }
    bucket.put(LOCK, json.dumps(holder | {"token": "x", "expires": time.time() + 60} | changed).encode())


def test_a_second_run_is_refused_and_names_the_first(score: Score, source: Path, bucket: Bucket) -> None:
    sign(bucket)
    done = score(source, "-o", bucket.url("labels.parquet"))
    assert done.code == 75
    assert "process 7 on elsewhere, started 2026-11-24T02:15:00+00:00, is writing it" in done.stderr
    status = score(source, "-o", bucket.url("labels.parquet"), "--status")
    assert "being written by process 7 on elsewhere" in status.stdout
    assert bucket.list() == [LOCK]


@pytest.mark.parametrize(
    "left", [{"expires": 0}, {"expires": None}, {"host": None, "expires": "soon"}], ids=["run out", "null", "no lock"]
)
def test_a_lock_that_ran_out_or_is_none_of_ours_is_no_obstacle(
    target: ObjectTarget, bucket: Bucket, left: dict[str, object]
) -> None:
    sign(bucket, **left)
    assert holder(target) is None
    with only_run(target):
        assert str(os.getpid()) in str(holder(target))
    assert bucket.list() == []


def test_a_lock_that_kill_9_left_is_no_obstacle_on_the_same_machine(target: ObjectTarget, bucket: Bucket) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        with pytest.raises(TryAgainError, match=f"process {held.pid} on "), only_run(target):
            pass
        held.kill()
    assert bucket.list() == [LOCK]
    with only_run(target):
        assert str(os.getpid()) in str(holder(target))
    assert bucket.list() == []


def test_a_lock_is_renewed_while_it_is_held(
    target: ObjectTarget, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RENEW_S", 0.05)
    with only_run(target):
        first = json.loads(bucket.get(LOCK))["expires"]
        deadline = time.monotonic() + 20
        while json.loads(bucket.get(LOCK))["expires"] <= first:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert bucket.list() == []


def test_a_lock_that_cannot_be_renewed_is_removed(
    target: ObjectTarget, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def full(thread: threading.Thread) -> None:
        if thread.name == "ro32-lock":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(RuntimeError), only_run(target):
        pass
    assert bucket.list() == []


def test_a_lock_whose_renewal_had_no_answer_is_renewed_again(
    target: ObjectTarget, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RENEW_S", 0.05)
    with only_run(target):
        renewed = json.loads(bucket.get(LOCK)) | {"expires": 1}
        bucket.put(LOCK, json.dumps(renewed).encode())  # so that the version that the run knows is an older one
        deadline = time.monotonic() + 20
        while json.loads(bucket.get(LOCK))["expires"] == 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert bucket.list() == []


def test_a_lock_that_another_run_took_is_left_to_it(
    target: ObjectTarget, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RENEW_S", 0.05)
    with only_run(target):
        sign(bucket)
        time.sleep(0.2)
    assert json.loads(bucket.get(LOCK))["host"] == "elsewhere"


@pytest.mark.parametrize(("method", "part_of_path"), [("GET", "papers"), ("PUT", ".parts/")])
def test_a_store_that_hangs_keeps_no_run_from_ending(
    papers_path: Path, tiny_bundle: Path, bucket: Bucket, proxy: Proxy, method: str, part_of_path: str
) -> None:
    """SIGTERM while an answer is waited for, within pyarrow or not, and the lock cannot be removed either.

    A try takes 30 seconds at most; a run that takes the signal only after it is late.
    """
    bucket.put("papers.parquet", papers_path)
    hanging: list[Request] = []

    def hang(request: Request) -> Fault | None:
        if request.method == method and part_of_path in request.path:
            hanging.append(request)
        return Fault.LATE if len(hanging) > (method == "GET") else None  # the second GET is one of pyarrow's

    proxy.fault, proxy.delay_s = hang, 120
    program = [sys.executable, "-m", "ro32.cli.score", "--bundle", str(tiny_bundle), "--part-rows", "100"]
    command = [*program, bucket.url("papers.parquet"), "-o", bucket.url("labels.parquet")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while len(hanging) < 1 + (method == "GET") and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.2)
        started = time.monotonic()
        run.send_signal(signal.SIGTERM)
        _, stderr = run.communicate(timeout=100)
        seconds = time.monotonic() - started
    assert run.returncode == 143, stderr
    assert seconds < 25  # one of them is the lock's; beside other work, all may take some more
