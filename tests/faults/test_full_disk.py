"""A disk that is really full: a small tmpfs, mounted where only our own processes see it."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import aftermath, tally
from tests.faults.lanes import Lane, Lanes
from tests.faults.runs import ForkServer, Job
from tests.faults.scene import Scene, State

MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"')
PAGE_BYTES = 4096
"""What a tmpfs gives out at a time."""


@dataclass(frozen=True, kw_only=True)
class SmallDisk:
    """A disk of 1 MB.

    Attributes:
        server: Runs processes that see it.
        mounted: Where they see it.
        seen: Where we see it.
    """

    server: ForkServer
    mounted: Path
    seen: Path

    def fill(self, pages_free: int) -> None:
        """Leave so many pages."""
        wanted = pages_free * PAGE_BYTES
        with (self.seen / "filler").open("wb", buffering=0) as filler:
            for _ in range(100):  # a tmpfs may still be giving back pages of files that are gone
                surplus = shutil.disk_usage(self.seen).free - wanted
                if surplus == 0:
                    return
                filler.write(bytes(surplus)) if surplus > 0 else filler.truncate(filler.seek(surplus, os.SEEK_END))
                time.sleep(0.01)
        pytest.fail(f"{surplus + wanted} bytes stay free, not {wanted}")

    def clear(self) -> None:
        """Remove all that is on it."""
        for path in self.seen.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 1 MB, where the system lets a user mount one in a namespace of their own."""
    try:
        subprocess.run([*MOUNT, tmp_path, "true"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        pytest.skip(f"no tmpfs can be mounted here: {reason}")
    with ForkServer([*MOUNT, str(tmp_path)]) as server:
        yield SmallDisk(server=server, mounted=tmp_path, seen=Path(f"/proc/{server.pid}/root{tmp_path}"))


@pytest.mark.parametrize("state", [pytest.param(State.EMPTY, marks=pytest.mark.full), State.USED])
def test_a_disk_with_any_room_left(lanes: Lanes, small_disk: SmallDisk, state: State) -> None:
    """Free pages from none to as many as suffice: each run fails with 74 at another place, until one ends well."""
    needed = []

    def try_all(lane: Lane, _: None) -> None:
        needed.append(run_with_more_and_more_room(lane.scenes[state], small_disk))

    lanes.each([None], try_all)
    assert needed[0] >= 2  # 5 or 6, but a tmpfs may still be giving back pages of files that are gone


def run_with_more_and_more_room(scene: Scene, disk: SmallDisk) -> int:
    """Return how many pages it took."""
    target = disk.seen / scene.target.name
    args = [str(disk.mounted / scene.target.name) if arg == str(scene.target) else arg for arg in scene.args]
    for free in range(100):
        disk.clear()
        shutil.copytree(scene.template, disk.seen, dirs_exist_ok=True)
        disk.fill(free)
        ended = disk.server.run(Job(args=args))
        aftermath.ended_well(ended, [0, 74])
        if ended.code == 0:
            aftermath.labels_are_right(target, scene.expected)
            return free
        assert "No space left" in ended.output
        assert (target.read_bytes() if target.exists() else None) == scene.before
        tally.injected("disks that were really full")
        (disk.seen / "filler").unlink()
        aftermath.ended_well(disk.server.run(Job(args=args)), [0])
        aftermath.labels_are_right(target, scene.expected)
        assert {path.name for path in disk.seen.iterdir()} == {target.name}
    pytest.fail("no room was ever enough")
