"""A nightly run: a dump of 2.5 million papers that all have labels, except the thousand of today.

The labels of all earlier papers are made up instead of scored, by the scorer's own walk and with the shipped model's
digests; the measured run cannot distinguish them. The command itself is measured, from start to end.
"""

import dataclasses
import json
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.dump import make_dump
from bench.machine import Kind, kind
from bench.measure import Child, Spread, run_child, take_turns
from bench.results import Check, Section
from ro32.cli.process import exit_code_of
from ro32.cli.score import command
from ro32.model.classifier import Classifier, Scored
from ro32.model.outcomes import Hashes, Outcomes
from ro32.run.walk import score_file

SEED = 2
MOST_SECONDS = {Kind.VNNI: 20.0, Kind.OTHER: 25.0}
MOST_MEMORY_BYTES = 700_000_000
MOST_GROWTH = 1.35
"""The large dump against the small one: 38 bytes a paper, its outcome by hash and its hash by place."""


class MadeUp(Classifier):
    """The shipped model by name and digest, but its scores cost nothing."""

    def score(
        self,
        titles: Sequence[str],
        abstracts: Sequence[str],  # noqa: ARG002
        hashes: Hashes | None = None,  # noqa: ARG002
        stop: threading.Event | None = None,  # noqa: ARG002
    ) -> Scored:
        """Return scores that are not positive; the tokens are one a paper."""
        outcomes = dataclasses.replace(
            Outcomes.empty(len(titles)), scores=np.full(len(titles), 0.001, dtype=np.float32)
        )
        return Scored(outcomes=outcomes, tokens=len(titles), audited=0, disagreements=0, seconds=0.0)


def measure(
    papers: Path, *, rows: int, small_rows: int, new: int, repeats: int, say: Callable[[str], object]
) -> Section:
    """Run a night on a large and on a small dump, in turns; `new` papers of either have no labels yet."""
    with tempfile.TemporaryDirectory() as name:
        for size in (small_rows, rows):
            say(f"making a dump of {size:,} papers, and labels of all but {new:,}")
            case = {"papers": str(papers), "folder": name, "rows": size, "new": new}
            run_child("bench.nightly:make", case)

        def night(size: int, _repeat: int) -> Child:
            return run_child("bench.nightly:score", {"folder": name, "rows": size, "new": new})

        found = take_turns({str(size): partial(night, size) for size in (small_rows, rows)}, repeats, say)
    large, small = found[str(rows)], found[str(small_rows)]
    seconds = Spread.of([child.wall_s for child in large])
    memory = {size: max(child.peak_rss_bytes for child in children) for size, children in found.items()}
    stages = large[0].result["stages"]
    return Section(
        settings={"papers": papers.name, "rows": rows, "small_rows": small_rows, "new": new, "repeats": repeats},
        figures={
            "wall_s": dataclasses.asdict(seconds),
            "small_wall_s": dataclasses.asdict(Spread.of([child.wall_s for child in small])),
            "stages_s": {
                stage: float(np.median([child.result["stages"][stage] for child in large])) for stage in stages
            },
            "papers_per_s": rows / seconds.median,
            "peak_rss_bytes": memory[str(rows)],
            "small_peak_rss_bytes": memory[str(small_rows)],
        },
        checks=(
            Check(
                what=f"a night of {rows:,} papers, {new:,} new, seconds",
                found=seconds.median,
                bound=MOST_SECONDS[kind()],
                at_least=False,
            ),
            Check(what="its peak memory in bytes", found=memory[str(rows)], bound=MOST_MEMORY_BYTES, at_least=False),
            Check(
                what=f"its memory : that of {small_rows:,} papers",
                found=memory[str(rows)] / memory[str(small_rows)],
                bound=MOST_GROWTH,
                at_least=False,
            ),
        ),
    )


def make(settings: dict[str, Any]) -> dict[str, Any]:
    """Make the new dump and the previous labels."""
    folder, rows, new = Path(settings["folder"]), settings["rows"], settings["new"]
    before = folder / "before.parquet"
    make_dump(Path(settings["papers"]), before, rows=rows - new, seed=SEED)
    score_file([str(before)], folder / f"labels-{rows}.parquet", classifier=MadeUp.load())
    before.unlink()
    make_dump(Path(settings["papers"]), folder / f"dump-{rows}.parquet", rows=rows, seed=SEED)
    return {}


def score(settings: dict[str, Any]) -> dict[str, Any]:
    """Run the command as the timer does. Last night's labels are kept for the next repeat."""
    folder, rows = Path(settings["folder"]), settings["rows"]
    labels, report = folder / f"labels-{rows}.parquet", folder / "report.json"
    target = folder / f"tonight-{rows}.parquet"
    args = [str(folder / f"dump-{rows}.parquet"), "-o", str(target), "--reuse", str(labels), "--report", str(report)]
    code = exit_code_of(command, [*args, "--quiet"])
    reported = json.loads(report.read_text())
    counts = reported["papers"]
    if code or counts["scored"] != settings["new"] or counts["reused"] != rows - settings["new"]:
        raise RuntimeError(f"exit code {code}, {counts}")
    target.unlink()
    return {"stages": reported["stages"], "seconds": reported["seconds"]}
