"""The first run over all of arXiv, from nothing to labels: its time and memory, by the command from start to end."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from bench.dump import COLUMNS, in_todays_mix, make_dump, read_drawn
from bench.machine import has_vnni
from bench.measure import Say, run_child
from bench.results import Section, at_most

NEWER_PER_OLD = (2_700_000 - 1_640_000) / 1_640_000
"""Papers since 2020 for each one to 2019, in a dump of 2.7 million.

arXiv had two million in January 2022; its annual reports count 181,630 for 2021 and 178,329 for 2020.
"""
MOST_SECONDS = 1_500.0 if has_vnni() else 3_600.0  # for 2.7 million papers
SEED = 11


def measure(papers: Path, modern: Path, *, rows: int, say: Say) -> Section:
    """Label a dump once: `papers` in the proportions they have, up to 2019, and `modern` ones in today's mix."""
    old, today = read_drawn(papers), in_todays_mix(read_drawn(modern))
    newer = today[np.arange(round(len(old) * NEWER_PER_OLD)) % len(today)]
    with tempfile.TemporaryDirectory() as name:
        source, dump = Path(name) / "source.parquet", Path(name) / "papers.parquet"
        pl.concat([frame.select(COLUMNS) for frame in (old, newer)]).write_parquet(source)
        say(f"making a dump of {rows:,} papers")
        make_dump(source, dump, rows=rows, seed=SEED)
        say("labelling it")
        settings = {"papers": str(dump), "target": f"{name}/labels.parquet", "options": []}
        found = run_child("bench.command:score", settings)
    return Section(
        settings={"papers": papers.name, "modern": modern.name, "rows": rows},
        figures={
            "wall_s": found.wall_s,
            "papers_per_s": rows / found.wall_s,
            "peak_rss_bytes": found.peak_rss_bytes,
            "papers": found.result["papers"],
            "stages_s": found.result["stages"],
        },
        checks=[at_most(f"first run over {rows:,} papers, seconds", found.wall_s, MOST_SECONDS)],
    )
