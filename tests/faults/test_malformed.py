"""Broken Parquet files, most of them found by fuzzing Arrow: none is a success, kills the process or takes its memory.

The small ones are in `tests/data/malformed`. A folder beside this repository may hold more, `../shared/malformed`;
SHARED= names another place.
"""

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import SEED
from tests.faults import aftermath, tally
from tests.faults.lanes import Lane, Lanes
from tests.faults.runs import ROOT, Job
from tests.faults.scene import State

FOLDERS = (ROOT / "tests" / "data" / "malformed", Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "malformed")
FILES = sorted({path.name: path for folder in FOLDERS for path in folder.glob("*.parquet")}.values())


def drawn(number: int) -> Sequence[Path]:
    """Draw some of the files, others in each run."""
    return sorted(random.Random(f"{SEED} malformed").sample(FILES, number))


LIMIT_S = 20.0
"""Each takes a tenth of a second; a busy machine must not fail the test."""
LIMIT_BYTES = 1_000_000_000

Columns = tuple[str, str, str]
"""Names of the columns of ids, titles and abstracts."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What pyarrow says of a file with every check that it has (`programs.describe`).

    Attributes:
        texts: Names of columns of strings.
        ids: Names of columns that could be ids, those of strings among them.
        sound: Names of those that it can read and finds valid.
    """

    texts: Sequence[str]
    ids: Sequence[str]
    sound: Sequence[str]


def contents(lane: Lane, file: Path) -> Contents:
    ended = lane.server.run(Job(args=[str(file)], entry="tests.faults.programs:describe"))
    assert ended.code == 0, ended.output
    return Contents(**json.loads(ended.output))


def mappings(found: Contents) -> list[Columns]:
    """Return ways to call a file's columns id, title and abstract, so that each usable column is in at least one."""
    ways: list[Columns] = []
    missing = set(found.ids)
    for title, abstract in permutations(found.texts, 2):
        for id_ in found.ids:
            way = (id_, title, abstract)
            if len(set(way)) == len(way) and missing & set(way):
                ways.append(way)
                missing -= set(way)
    return ways


def check(lane: Lane, inputs: Sequence[Path], columns: Columns, *, may_succeed: bool) -> None:
    """Score some files, and check that no more is a success than may be."""
    scene = lane.scenes[State.USED]
    scene.restore()
    options = [
        option
        for name, column in zip(("id", "title", "abstract"), columns, strict=True)
        for option in (f"--{name}-column", column)
    ]
    args = [*map(str, inputs), "-o", str(scene.target), "--bundle", str(scene.bundle), "--max-unscored", "1", *options]
    ended = lane.server.run(Job(args=args, limit_s=LIMIT_S))
    tally.injected("runs over malformed files")
    aftermath.ended_well(ended, [0, 65] if may_succeed else [65])
    assert ended.peak_rss_bytes < LIMIT_BYTES
    if ended.code:
        aftermath.labels_are_the_old_ones(scene)
    else:
        assert pq.read_metadata(scene.target).num_rows == sum(pq.read_metadata(path).num_rows for path in inputs)


few_or_all = pytest.mark.parametrize(
    "files", [drawn(8), pytest.param(FILES, marks=pytest.mark.full)], ids=["few", "all"]
)


@few_or_all
def test_alone_and_between_good_files(lanes: Lanes, files: Sequence[Path]) -> None:
    """Few of the files have columns of the right names and types; so others are called that, where there are any."""

    def feed(lane: Lane, file: Path) -> None:
        found = contents(lane, file)
        for columns in [("id", "title", "abstract"), *mappings(found)[: 2 if len(files) < len(FILES) else None]]:
            may_succeed = set(columns) <= set(found.sound)
            check(lane, [file], columns, may_succeed=may_succeed)
            before, after = good_files(lane, columns, integers=columns[0] not in found.texts)
            check(lane, [before, file, after], columns, may_succeed=may_succeed)

    lanes.each(files, feed)


def good_files(lane: Lane, columns: Columns, *, integers: bool) -> tuple[Path, Path]:
    """Write two good files with such columns, the one before all others by name and the other after them."""
    papers = pa.table({name: lane.scenes[State.USED].expected.column("id") for name in columns})
    if integers:
        papers = papers.set_column(0, columns[0], pa.array(range(papers.num_rows)))
    paths = lane.folder / "a.parquet", lane.folder / "z.parquet"
    for path in paths:
        pq.write_table(papers, path)
    return paths


@few_or_all
def test_each_column_is_decoded(lanes: Lanes, files: Sequence[Path]) -> None:
    """Most of the files have a column that could be ids, if not three that could be papers."""

    def feed(lane: Lane, file: Path) -> None:
        found = contents(lane, file)
        ended = lane.server.run(
            Job(args=[str(file), *found.ids], entry="tests.faults.programs:decode", limit_s=LIMIT_S)
        )
        aftermath.ended_well(ended, [0])
        assert ended.peak_rss_bytes < LIMIT_BYTES
        for name, code in json.loads(ended.output).items():
            assert code == (0 if name in found.sound else 65), name
            tally.injected("columns of malformed files decoded")

    lanes.each(files, feed)
