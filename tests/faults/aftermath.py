"""What must hold after a fault, and after the run that follows it."""

import hashlib
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.labels import read_provenance
from ro32.run.parts import RowCounts
from tests.faults import tally
from tests.faults.runs import Ended
from tests.faults.scene import FOREIGN, Scene


def check(scene: Scene, ended: Ended, codes: Collection[int]) -> None:
    """Check what a run left in a scene; then run again, undisturbed, and check that.

    Args:
        scene: Where it ran, as it left it.
        ended: How it ended.
        codes: Exit codes that would be right.
    """
    ended_well(ended, codes)
    left = found(scene)
    if ended.code == 0 or left != scene.before:
        labels_are_right(scene.target, scene.expected)
        assert "nothing was published" not in ended.output
    else:
        labels_are_the_old_ones(scene)
    finished = finished_parts(scene)
    known = {digest for part in finished for digest in part}
    if left is not None:
        known |= set(pq.read_table(scene.target, columns=["content_hash"]).column(0).to_pylist())

    summary = scene.run_again()

    labels_are_right(scene.target, scene.expected)
    assert summary.resumed == sum(map(len, finished))
    asked = scene.classifier.asked
    assert len(asked) == len(set(asked)), "a text was scored twice in one run"
    assert known.isdisjoint(asked), "a text was scored that was finished"
    names = sorted(path.name for path in scene.target.parent.iterdir())
    assert names == [scene.target.name]


def found(scene: Scene) -> bytes | None:
    """Return what stands at the target; None where nothing does."""
    return scene.target.read_bytes() if scene.target.exists() else None


def ended_well(ended: Ended, codes: Collection[int]) -> None:
    """Check that a run ended in time, with one of some exit codes and a message for people."""
    assert not ended.hung, ended.output
    assert ended.code in codes, f"{ended.code}: {ended.output}"
    assert "Traceback" not in ended.output, ended.output
    assert "Exception ignored" not in ended.output, ended.output
    if ended.code > 0:
        last = ended.output.splitlines()[-1]  # earlier messages may precede it
        assert last.startswith("ro32-score: "), ended.output


def labels_are_right(path: Path, expected: pa.Table, *, any_width: bool = False) -> None:
    """Check that a file holds the labels of an undisturbed run, and that its counts add up.

    Args:
        path: The file.
        expected: Its labels.
        any_width: Whether ids may be strings of Arrow's other width, which has the same text.
    """
    labels = pq.read_table(path)
    if any_width:
        labels = labels.cast(expected.schema.remove_metadata())
    assert labels.equals(expected)
    provenance = read_provenance(path)
    assert provenance is not None
    counts = RowCounts(**provenance["rows"])
    assert counts.scored + counts.reused + counts.duplicates == counts.rows == labels.num_rows
    assert sum(counts.unscored.values()) == labels.column("error").length() - labels.column("error").null_count
    assert counts.positives == labels.column("label").to_pylist().count(provenance["positive_label"])
    tally.checked("labels files compared with those of an undisturbed run")


def labels_are_the_old_ones(scene: Scene) -> None:
    """Check that the target is what it was, to the last byte."""
    assert found(scene) == scene.before
    tally.checked("targets that were still what they had been")


def finished_parts(scene: Scene) -> list[list[bytes]]:
    """Return the content hashes of each part of this run that is whole, by its own name."""
    return [
        pq.read_table(path, columns=["content_hash"]).column(0).to_pylist()
        for path in sorted(scene.parts.glob("*/*.parquet"))
        if path.parent.name != FOREIGN and hashlib.sha256(path.read_bytes()).hexdigest() == path.stem.partition("-")[2]
    ]
