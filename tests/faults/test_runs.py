"""The tools of this folder do what they say; else all the rest would prove nothing."""

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import aftermath
from tests.faults.lanes import Lane, Lanes
from tests.faults.runs import ROOT, Ended, Job
from tests.faults.scene import State
from tests.faults.seam import Fault

Run = Callable[[Job], Ended]


@pytest.fixture
def run(lanes: Lanes) -> Run:
    """Run one job on some lane."""

    def call(job: Job) -> Ended:
        if job.folders and lanes.why_no_faults is not None:
            pytest.skip(lanes.why_no_faults)
        ended: list[Ended] = []
        lanes.each([job], lambda lane, job: ended.append(lane.server.run(job)))
        return ended[0]

    return call


@pytest.mark.parametrize("state", State)
def test_a_forked_run_is_a_run(lanes: Lanes, state: State) -> None:
    def compare(lane: Lane, _: None) -> None:
        scene = lane.scenes[state]
        scene.restore()
        fresh = subprocess.run(
            [sys.executable, "-m", "ro32.cli.score", *scene.args],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        aftermath.labels_are_right(scene.target, scene.expected)
        scene.restore()
        forked = lane.server.run(Job(args=scene.args))
        aftermath.labels_are_right(scene.target, scene.expected)
        assert forked.code == 0
        assert forked.output.partition(";")[0] == fresh.stdout.partition(";")[0]

    lanes.each([None], compare)


def probe(folder: Path, fault: Fault | None = None) -> Job:
    """Return a job that makes, writes, renames and removes files, watched."""
    return Job(args=[str(folder)], entry="tests.faults.programs:write_and_remove", folders=[str(folder)], fault=fault)


def test_calls_are_seen_whoever_makes_them(run: Run, tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "new"
    seen = [(call.name, *(Path(path) for path in call.paths)) for call in run(probe(folder)).calls]
    written, text, renamed = folder / "a.parquet", folder / "b.txt", folder / "c.txt"
    assert [call for call, before in zip(seen, [None, *seen], strict=False) if call != before] == [
        *(("mkdir", folder), ("openat", written), ("write", written)),  # by pyarrow's C++
        *(("openat", text), ("write", text), ("rename", text, renamed)),  # by Python
        *(("openat", folder), ("getdents64", folder)),
        *(("unlinkat", written), ("unlinkat", renamed), ("rmdir", folder)),  # by names relative to a descriptor
    ]


@pytest.mark.parametrize(
    ("at", "number", "words"),
    [(1, errno.EACCES, "Permission denied"), (3, errno.ENOSPC, "No space left"), (4, errno.EIO, "Input/output error")],
)
def test_a_call_fails_with_the_error_that_was_asked_for(
    run: Run, tmp_path: Path, at: int, number: int, words: str
) -> None:
    ended = run(probe(tmp_path.resolve() / "new", Fault(at=at, error=number)))
    assert ended.code == 1
    assert words in ended.output


def test_errors_stay_when_they_are_there_for_good(run: Run, tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "new"
    run(probe(folder, Fault(at=4, error=errno.EIO, for_good=True)))
    assert (folder / "a.parquet").stat().st_size == 4  # the first write alone came through


def test_a_kill_comes_before_the_call(run: Run, tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "new"
    ended = run(probe(folder, Fault(at=2, signal=signal.SIGKILL)))
    assert ended.code == -signal.SIGKILL
    assert list(folder.iterdir()) == []


def test_a_process_that_hangs_is_ended(run: Run) -> None:
    ended = run(Job(args=["60"], entry="tests.faults.programs:sleep", limit_s=0.3))
    assert (ended.hung, ended.code) == (True, -signal.SIGKILL)


def test_memory_is_measured(run: Run) -> None:
    small, large = (
        run(Job(args=[str(size)], entry="tests.faults.programs:allocate")).peak_rss_bytes for size in (1, 300_000_000)
    )
    assert 250_000_000 < large - small < 350_000_000
