"""One bit flips, in any file that a run reads: it is noticed, or it changes nothing."""

import random
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import SEED
from tests.faults import aftermath, tally
from tests.faults.lanes import Lane, Lanes
from tests.faults.runs import Ended, Job
from tests.faults.scene import FOREIGN, Scene, State


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A bit of a file.

    Attributes:
        share: Its position as a share of all bits of the file, 0 to 1.
    """

    share: float

    def apply(self, path: Path) -> None:
        """Flip the bit."""
        data = bytearray(path.read_bytes())
        bit = int(self.share * len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)


def flips(lanes: Lanes, what: str, sample: int, strike: Callable[[Lane, Flip], None]) -> None:
    """Flip bits drawn at random, each time in an undamaged file."""
    chance = random.Random(f"{SEED} {what} {sample}")
    lanes.each([Flip(share=chance.random()) for _ in range(sample)], strike)
    tally.injected(f"bits flipped in {what}", sample)


def sizes(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test on a few bits, and on many in the long version."""
    return pytest.mark.parametrize("sample", [few, pytest.param(many, marks=pytest.mark.full)])


def score(
    lane: Lane, scene: Scene, *, papers: Path | None = None, bundle: Path | None = None, reuse: Path | None = None
) -> Ended:
    """Run ro32-score in a scene as it is."""
    changed = {str(scene.input): papers, str(scene.bundle): bundle}
    args = [str(changed.get(arg) or arg) for arg in scene.args]
    return lane.server.run(Job(args=[*args, *([] if reuse is None else ["--reuse", str(reuse)])], limit_s=30))


def unchanged_or_right(scene: Scene, ended: Ended, codes: Collection[int], *, any_width: bool = False) -> None:
    """Check that a run succeeded as if nothing had been damaged, or left the old labels as they were."""
    aftermath.ended_well(ended, codes)
    if ended.code:
        aftermath.labels_are_the_old_ones(scene)
    else:
        aftermath.labels_are_right(scene.target, scene.expected, any_width=any_width)


@sizes(12, 1_500)
def test_in_a_finished_part(lanes: Lanes, sample: int) -> None:
    def strike(lane: Lane, flip: Flip) -> None:
        scene = lane.scenes[State.USED]
        scene.restore()
        [part] = [path for path in scene.parts.glob("*/*.parquet") if path.parent.name != FOREIGN]
        flip.apply(part)
        unchanged_or_right(scene, score(lane, scene), [0])

    flips(lanes, "a finished part", sample, strike)


@sizes(12, 1_500)
def test_in_the_labels_of_yesterday(lanes: Lanes, sample: int) -> None:
    def strike(lane: Lane, flip: Flip) -> None:
        scene = lane.scenes[State.USED]
        scene.restore()
        flip.apply(scene.target)
        unchanged_or_right(scene, score(lane, scene), [0])

    flips(lanes, "yesterday's labels", sample, strike)


@sizes(8, 500)
def test_in_labels_named_for_reuse(lanes: Lanes, sample: int) -> None:
    """Who names labels wants them reused: damaged ones are refused, not passed over."""

    def strike(lane: Lane, flip: Flip) -> None:
        scene = lane.scenes[State.USED]
        scene.restore()
        named = lane.folder / "named.parquet"
        shutil.copy(scene.target, named)
        flip.apply(named)
        unchanged_or_right(scene, score(lane, scene, reuse=named), [0, 65])

    flips(lanes, "labels named for reuse", sample, strike)


@sizes(15, 3_000)
def test_in_an_input_with_checksums(lanes: Lanes, sample: int) -> None:
    """Its footer has none: where Arrow's hint there is lost, that strings have long offsets, ids get short ones."""

    def strike(lane: Lane, flip: Flip) -> None:
        scene = lane.scenes[State.USED]
        scene.restore()
        papers = lane.folder / "papers.parquet"
        shutil.copy(scene.input, papers)
        flip.apply(papers)
        unchanged_or_right(scene, score(lane, scene, papers=papers), [0, 65], any_width=True)

    flips(lanes, "an input with checksums", sample, strike)


@sizes(12, 1_500)
def test_in_an_input_without_checksums(lanes: Lanes, sample: int) -> None:
    """Nothing can tell that such a file was damaged; but each row is still what its text is."""

    def strike(lane: Lane, flip: Flip) -> None:
        scene = lane.scenes[State.USED]
        scene.restore()
        papers = lane.folder / "plain.parquet"
        pq.write_table(pq.read_table(scene.input), papers)
        flip.apply(papers)
        ended = score(lane, scene, papers=papers)
        aftermath.ended_well(ended, [0, 65])
        if ended.code:
            aftermath.labels_are_the_old_ones(scene)
            return
        known = {row["content_hash"]: row for row in scene.expected.to_pylist()}
        found = pq.read_table(scene.target).to_pylist()
        assert len(found) == scene.expected.num_rows
        for row in found:
            same = known.get(row["content_hash"], row)
            assert {**same, "id": None} == {**row, "id": None}

    flips(lanes, "an input without checksums", sample, strike)


@sizes(5, 500)
@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "tokenizer.json", "README.md"])
def test_in_the_bundle(lanes: Lanes, sample: int, name: str) -> None:
    def strike(lane: Lane, flip: Flip) -> None:
        scene = lane.scenes[State.USED]
        scene.restore()
        bundle = lane.folder / "bundle"
        shutil.copytree(scene.bundle, bundle, dirs_exist_ok=True)
        flip.apply(bundle / name)
        unchanged_or_right(scene, score(lane, scene, bundle=bundle), [78])

    flips(lanes, f"the bundle's {name}", sample, strike)
