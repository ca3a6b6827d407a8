"""Every system call of a run that is about its files fails once, or is the last one that the process makes.

As SQLite tests itself (https://sqlite.org/testing.html, "Anomaly testing"): the first call fails, in the next run the
second, and so on until a run makes no call that could fail; that is for `make test-all`, and `make test` draws some of
the calls again each time. After each, the old labels are as they were or the new ones
are complete and right; the next run ends well, scores nothing that was finished, and leaves nothing behind.
"""

import errno
import random
import signal
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from ro32.storage.lock import lock_path
from tests.conftest import SEED
from tests.faults import aftermath, tally
from tests.faults.lanes import Lane, Lanes
from tests.faults.runs import Ended, Job
from tests.faults.scene import Scene, State
from tests.faults.seam import Fault
from tests.faults.syscalls import Call

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
"""The disk is full, the disk is broken, a permission is missing."""

DRAWN = 15
"""Calls that `make test` draws, for each of these."""
KINDS: dict[str, Callable[[int], Fault]] = {
    "an error": lambda at: Fault(at=at, error=ERRORS[at % 3]),
    "errors from then on": lambda at: Fault(at=at, error=ERRORS[at % 2], for_good=True),
    "SIGKILL": lambda at: Fault(at=at, signal=signal.SIGKILL),
    "SIGTERM or SIGINT": lambda at: Fault(at=at, signal=(signal.SIGTERM, signal.SIGINT)[at // 2 % 2]),
}
"""What happens at them, by the call's number."""


@pytest.fixture
def injecting(lanes: Lanes) -> Lanes:
    """Lanes, where the kernel lets calls fail."""
    if lanes.why_no_faults is not None:
        pytest.skip(lanes.why_no_faults)
    return lanes


def run(lane: Lane, state: State, fault: Fault | None = None, *, asking: bool = False) -> tuple[Scene, Ended]:
    """Run once in a scene that is in its first state again."""
    scene = lane.scenes[state]
    scene.restore()
    folders = [str(scene.folder), str(scene.bundle)]
    return scene, lane.server.run(Job(args=scene.args, folders=folders, asking=asking, fault=fault))


def calls_of(lanes: Lanes, state: State, *, asking: bool = False) -> Sequence[Call]:
    """Return the calls of a run that nothing disturbs, after checking that it is one."""
    calls: list[Call] = []

    def undisturbed(lane: Lane, _: None) -> None:
        scene, ended = run(lane, state, asking=asking)
        aftermath.check(scene, ended, [0])
        assert str(scene.target) in [call.paths[-1] for call in ended.calls if call.name.startswith("rename")]
        calls.extend(ended.calls)

    lanes.each([None], undisturbed)
    return calls


def right_codes(scene: Scene, call: Call, fault: Fault) -> Collection[int]:
    """Return the exit codes that README.md documents for a fault. 0 is right wherever the fault did no harm."""
    if fault.signal is not None:
        return {-fault.signal} if fault.signal == signal.SIGKILL else {128 + fault.signal}
    if Path(call.paths[0]).is_relative_to(scene.bundle):
        return {0, 78} | ({74 if fault.error != errno.EACCES else 73} if "stat" in call.name else set())
    if Path(call.paths[0]).is_relative_to(scene.input.parent):
        # 75 where it looks as if the file had changed; pyarrow says no more than that of a size that it cannot learn
        odd = {"fstat": {65}}.get(call.name, {75} if "stat" in call.name else set())
        return {0, 74} | odd | ({66, 73} if fault.error == errno.EACCES else set())
    if fault.error != errno.EACCES:
        return {0, 74}
    return {0, 73, 74, 75} if call.name == "flock" else {0, 73, 74}  # so say some file systems of a lock that is held


def inject(lanes: Lanes, state: State, faults: Sequence[Fault], *, asking: bool = False) -> None:
    """Let faults happen, each in a run of its own, and check what each leaves."""

    def strike(lane: Lane, fault: Fault) -> None:
        scene, ended = run(lane, state, fault, asking=asking)
        assert len(ended.calls) >= fault.at, "the fault did not happen"
        failed = ended.calls[fault.at - 1 :] if fault.for_good else ended.calls[fault.at - 1 : fault.at]
        tally.injected(
            "calls that failed" if fault.signal is None else f"calls before which {_name(fault.signal)} came"
        )
        finished_parts_are_kept(scene, ended.calls[: fault.at - 1])
        aftermath.check(scene, ended, {code for call in failed for code in right_codes(scene, call, fault)})

    lanes.each(faults, strike)


def finished_parts_are_kept(scene: Scene, before: Sequence[Call]) -> None:
    """Check that the parts that were finished before a fault are there, unless the labels made of them are."""
    if aftermath.found(scene) == scene.before:
        renamed = [Path(call.paths[-1]) for call in before if call.name.startswith("rename")]
        assert all(path.exists() for path in renamed)


def _name(number: int) -> str:
    return signal.Signals(number).name


@pytest.mark.drawn(3)
@pytest.mark.parametrize("kind", KINDS)
def test_calls_drawn_from_all(injecting: Lanes, kind: str) -> None:
    calls = calls_of(injecting, State.USED)
    assert len(calls) > 100
    chance = random.Random(f"{SEED} {kind}")
    inject(injecting, State.USED, [KINDS[kind](at) for at in chance.sample(range(1, len(calls) + 1), DRAWN)])


@pytest.mark.full
@pytest.mark.parametrize("state", State)
def test_each_call_in_every_way(injecting: Lanes, state: State) -> None:
    calls = calls_of(injecting, state, asking=True)
    faults = [
        fault
        for at in range(1, len(calls) + 1)
        for fault in (
            *(Fault(at=at, error=error, for_good=for_good) for error in ERRORS for for_good in (False, True)),
            *(Fault(at=at, signal=number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
        )
    ]
    inject(injecting, state, faults, asking=True)


@pytest.mark.parametrize("state", State)
def test_no_fault_fires_after_the_last_call(injecting: Lanes, state: State) -> None:
    """So the numbers above reach to the end of a run."""
    last = len(calls_of(injecting, state))

    def beyond(lane: Lane, fault: Fault) -> None:
        scene, ended = run(lane, state, fault)
        aftermath.check(scene, ended, [0])

    injecting.each([Fault(at=last + 1, error=errno.EIO)], beyond)


@pytest.mark.parametrize("state", State)
def test_everything_is_on_the_disk_before_something_builds_on_it(injecting: Lanes, state: State) -> None:
    """What a power cut could tear apart: a name without its content, or labels without the folder's entry.

    A file is synced after its last write and before its rename; the folder is synced before anything else is created,
    renamed or removed.
    """

    def in_order(lane: Lane, _: None) -> None:
        scene, ended = run(lane, state)
        unsynced: set[Path] = set()
        renamed: list[Path] = []
        for call in ended.calls:
            path = Path(call.paths[-1])
            match call.name:
                case "write" | "pwrite64" | "writev" | "pwritev" | "ftruncate":
                    unsynced.add(path)
                case "fsync" | "fdatasync":
                    unsynced.discard(path)
                case "rename" | "renameat" | "renameat2":
                    assert Path(call.paths[0]) not in unsynced, f"{path} was renamed before it was on the disk"
                    renamed.append(path)
                    unsynced.add(path.parent)
                case "mkdir" | "mkdirat" if path.is_relative_to(scene.parts):
                    unsynced.add(path.parent)
                case "unlink" | "unlinkat" | "rmdir" | "openat" if path.suffix == ".tmp" or "link" in call.name:
                    assert not unsynced - {lock_path(scene.target), path}, f"{call.name} of {path} too early"
        assert scene.target in renamed
        assert scene.target.parent not in unsynced
        assert len(renamed) == 1 + (4 if state is State.EMPTY else 3)
        tally.checked("runs whose syncs were in order")

    injecting.each([None], in_order)
