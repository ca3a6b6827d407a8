"""Plan and commit alone, of a dump of many files: what is left of a run when scoring costs next to nothing.

The engine here stands for nodes that score: it reads the ids of each part, makes up hashes and scores at a fixed cost a
row, and hands over part files as the real engines do. All else is the walk itself: planning from the footers, standing
labels, finished parts, reconciling, publishing. Of the dump ids, row counts and files are those of a real one; of texts
it has none but the id once more, since nothing here reads them.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.measure import Child, run_child
from bench.results import Check, Section
from ro32.data.labels import schema
from ro32.data.papers import read_ids
from ro32.folder.update import score_folder
from ro32.model.classifier import Classifier
from ro32.run.engine import Remaining
from ro32.run.job import Job, Settings
from ro32.run.journal import Journal, Stage
from ro32.run.parts import Counts, FinishedPart
from ro32.run.walk import score_file

SEED = 4
MOST_GROWTH = 1.15
"""Memory of the driver with the most files for each byte with the fewest."""
MOST_SLOWDOWN = 1.5
"""Processor time for each file with the most files, for each second with the fewest: nothing is quadratic."""
LAYOUTS = ("folder", "file")
_FILES_A_FOLDER = 1_000
_DRIVER = {"plan": (Stage.PLAN,), "reuse": (Stage.REUSE, Stage.RESUME), "commit": (Stage.COMMIT,)}
"""Stages that are the driver's alone, whatever scores."""


def measure(files: Sequence[int], *, rows: int, work: Path | None, say: Callable[[str], object]) -> Section:
    """Label dumps of several sizes, into a folder of labels and into one file.

    Args:
        files: Input files of each dump; the largest one is made, the others are links to its first files.
        rows: Papers of a file.
        work: A folder with room for dump, parts and labels; by default that of temporary files.
        say: Receives progress messages.
    """
    found: dict[str, dict[int, dict[str, Child]]] = {layout: {} for layout in LAYOUTS}
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        say(f"making {max(files):,} files of {rows:,} papers")
        make_files(folder / "dump", max(files), rows)
        for count in sorted(files):
            dump = link_first(folder / "dump", folder / f"dump-{count}", count)
            for layout in LAYOUTS:
                case = {"dump": str(dump), "labels": str(folder / "labels"), "rows": rows, "layout": layout}
                found[layout][count] = {}
                for run in ("new", "again") if layout == "folder" else ("new",):
                    say(f"{count:,} files, labels in a {layout}, {run}")
                    found[layout][count][run] = run_child("bench.plan:label", case)
                shutil.rmtree(folder / "labels")
    return Section(
        settings={"files": list(files), "rows": rows},
        figures={
            layout: {
                str(count): {run: _figures(child, count) for run, child in runs.items()}
                for count, runs in sizes.items()
            }
            for layout, sizes in found.items()
        },
        checks=tuple(check for layout, sizes in found.items() for check in _checks(layout, sizes)),
    )


def _figures(child: Child, files: int) -> dict[str, Any]:
    return {
        "seconds": child.result["seconds"],
        **{f"{name}_s_per_1000_files": _per_1000_files(child, files, "stages_s", name) for name in _DRIVER},
        **{f"{name}_cpu_s_per_1000_files": _per_1000_files(child, files, "stages_cpu_s", name) for name in _DRIVER},
        "driver_peak_rss_bytes": child.peak_rss_bytes,
    }


def _per_1000_files(child: Child, files: int, clock: str, name: str) -> float:
    return 1000 / files * float(sum(child.result[clock][stage] for stage in _DRIVER[name]))


def _checks(layout: str, sizes: dict[int, dict[str, Child]]) -> Iterator[Check]:
    few, many = min(sizes), max(sizes)
    for run, most in sizes[many].items():
        least, what = sizes[few][run], f"labels in a {layout}, {run}: {many:,} files : {few:,} files"
        yield Check(
            what=f"{what}, memory of the driver",
            found=most.peak_rss_bytes / least.peak_rss_bytes,
            bound=MOST_GROWTH,
            at_least=False,
        )
        spent = {
            count: sum(_per_1000_files(child, count, "stages_cpu_s", name) for name in _DRIVER)
            for count, child in ((few, least), (many, most))
        }
        yield Check(
            what=f"{what}, processor time of plan, reuse and commit for each file",
            found=spent[many] / spent[few],
            bound=MOST_SLOWDOWN,
            at_least=False,
        )


def make_files(folder: Path, files: int, rows: int) -> None:
    """Write a dump of many files: ids as arXiv has them, all different, and texts that are the ids again."""
    for number in range(files):
        path = folder / f"{number // _FILES_A_FOLDER:03}" / f"{number:06}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Ten digits after a dot: of the form of arXiv's own ids, and none of them is one.
        ids = pa.array([f"0000.{row:010}" for row in range(number * rows, (number + 1) * rows)])
        table = pa.table({"id": ids, "title": ids, "abstract": pa.array([""] * rows)})
        pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def link_first(dump: Path, target: Path, files: int) -> Path:
    """Make a dump of the first files of another one, without copying them."""
    for path in sorted(dump.rglob("*.parquet"))[:files]:
        link = target / path.relative_to(dump)
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, link)
    return target


def label(settings: dict[str, Any]) -> dict[str, Any]:
    """Be the driver of one run."""
    journal, labels = ProcessorJournal(), Path(settings["labels"])
    case: dict[str, Any] = {
        "classifier": Classifier.load(),
        "settings": Settings(part_rows=settings["rows"]),
        "engine": FixedCost(),
        "journal": journal,
    }
    if settings["layout"] == "folder":
        score_folder(settings["dump"], labels, **case)
    else:
        labels.mkdir()
        score_file(settings["dump"], labels / "labels.parquet", **case)
    stages = journal.seconds()
    return {"stages_s": stages, "stages_cpu_s": journal.cpu_seconds, "seconds": sum(stages.values())}


class ProcessorJournal(Journal):
    """A journal that also tells each stage's share of the processor, which a busy machine and its disk leave alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cpu_seconds = dict.fromkeys(Stage, 0.0)
        self._cpu_since = time.process_time()

    def enter(self, stage: Stage) -> None:
        """Count what was spent, and go on to another stage."""
        now = time.process_time()
        self.cpu_seconds[self.stage] += now - self._cpu_since
        self._cpu_since = now
        super().enter(stage)


class FixedCost:
    """Finishes parts without a model."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(SEED)

    def __call__(
        self, work: Iterable[Remaining], journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[tuple[Remaining, Counts]]:
        """Make parts up; see `ro32.run.engine.Engine`."""
        for remaining in work:
            job = remaining.job
            for part, ids in read_ids(remaining.parts, job.plan.columns, job.plan.id_type):
                journal.enter(Stage.SCORE)
                finished = self._made_up(job, ids)
                journal.enter(Stage.SAVE_PART)
                job.plan.check_unchanged(after=part)
                remaining.store.save(part, finished)
                on_rows(part.rows)
                yield remaining, finished.counts
                journal.enter(Stage.READ)

    def _made_up(self, job: Job, ids: pa.ChunkedArray) -> FinishedPart:
        """Return a part none of whose papers is positive, each with a hash of its own: they do not compress."""
        rows = len(ids)
        hashes = pa.py_buffer(self._rng.bytes(16 * rows))
        scores = self._rng.uniform(0, job.classifier.decision.lowest / 2, rows)
        columns = [
            ids,
            pa.repeat(job.classifier.manifest.negative_label, rows),
            pa.array(scores, pa.float32()),
            pa.nulls(rows, pa.string()),
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, hashes]),
            pa.repeat(True, rows),  # noqa: FBT003 - a value
        ]
        table = pa.table(columns, schema=schema(job.plan.id_type))
        return FinishedPart(table=table, counts=Counts(rows=rows, scored=rows, screened=rows))
