"""A nightly run: a dump of 2.5 million papers that all have labels, except the thousand of today.

The labels of all earlier papers are made up instead of scored, by the scorer's own walk and with the shipped model's
digests; the measured run cannot distinguish them.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.dump import make_dump
from bench.machine import has_vnni
from bench.measure import Say, quartiles, run_child, take_turns
from bench.results import Section, at_most
from ro32.model.classifier import Classifier, Scored
from ro32.model.outcomes import Outcomes
from ro32.run.walk import score_file

SEED = 2
MOST_SECONDS = 20.0 if has_vnni() else 25.0
MOST_MEMORY_BYTES = 700_000_000
MOST_GROWTH = 1.35  # the large dump against the small one: 38 bytes a paper, its outcome by hash and its hash by place


class MadeUp(Classifier):
    """The shipped model by name and digest, but its scores cost nothing."""

    def score(self, titles: Sequence[str], *_: object, **__: object) -> Scored:
        """Return scores that are not positive; the tokens are one a paper."""
        scores = np.full(len(titles), 0.001, dtype=np.float32)
        outcomes = dataclasses.replace(Outcomes.empty(len(titles)), scores=scores)
        return Scored(outcomes=outcomes, tokens=len(titles), audited=0, disagreements=0, seconds=0.0)


def measure(papers: Path, *, rows: int, small_rows: int, new: int, repeats: int, say: Say) -> Section:
    """Run a night on a large and on a small dump, in turns; `new` papers of either have no labels yet."""
    with tempfile.TemporaryDirectory() as folder:
        turns = {}
        for size in (small_rows, rows):
            say(f"making a dump of {size:,} papers, and labels of all but {new:,}")
            run_child("bench.nightly:make", {"papers": str(papers), "folder": folder, "rows": size, "new": new})
            turns[str(size)] = (
                "bench.command:score",
                {
                    "papers": f"{folder}/dump-{size}.parquet",
                    "target": f"{folder}/tonight-{size}.parquet",
                    "options": ["--reuse", f"{folder}/labels-{size}.parquet"],
                },
            )
        found = take_turns(turns, repeats, say)
    for dump, children in found.items():
        for counts in (child.result["papers"] for child in children):
            if (counts["scored"], counts["reused"]) != (new, int(dump) - new):
                raise ValueError(f"expected {new} scored papers and all others reused, found {counts}")
    large, small = found[str(rows)], found[str(small_rows)]
    seconds = quartiles([child.wall_s for child in large])
    memory, small_memory = (max(child.peak_rss_bytes for child in children) for children in (large, small))
    stages = [child.result["stages"] for child in large]
    return Section(
        settings={"papers": papers.name, "rows": rows, "small_rows": small_rows, "new": new, "repeats": repeats},
        figures={
            "wall_s": seconds,
            "small_wall_s": quartiles([child.wall_s for child in small]),
            "stages_s": {stage: float(np.median([each[stage] for each in stages])) for stage in stages[0]},
            "papers_per_s": rows / seconds["median"],
            "peak_rss_bytes": memory,
            "small_peak_rss_bytes": small_memory,
        },
        checks=[
            at_most(f"a night of {rows:,} papers, {new:,} new, seconds", seconds["median"], MOST_SECONDS),
            at_most("its peak memory in bytes", memory, MOST_MEMORY_BYTES),
            at_most(f"its memory : that of {small_rows:,} papers", memory / small_memory, MOST_GROWTH),
        ],
    )


def make(settings: dict[str, Any]) -> dict[str, Any]:
    """Make the new dump and the previous labels."""
    folder, rows, new = Path(settings["folder"]), settings["rows"], settings["new"]
    before = folder / "before.parquet"
    make_dump(Path(settings["papers"]), before, rows=rows - new, seed=SEED)
    score_file(before, folder / f"labels-{rows}.parquet", classifier=MadeUp.load())
    before.unlink()
    make_dump(Path(settings["papers"]), folder / f"dump-{rows}.parquet", rows=rows, seed=SEED)
    return {}
