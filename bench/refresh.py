"""A refresh of a bundle on real papers with categories: the command from start to end, its time and memory."""

import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from bench.measure import Say, run_child
from bench.results import Section, at_most
from ro32.cli.process import exit_code_of
from ro32.cli.refresh import refresh_command
from ro32.model.bundle import Bundle
from ro32.model.installed import default_store, find

MOST_SECONDS = 600
MOST_MEMORY_BYTES = 2_000_000_000  # both for 500,000 papers on two cores


def measure(*papers: Path, bundle: Path | None, say: Say) -> Section:
    """Refresh a bundle once; made-up papers would not do, as the memory depends on how many words there are."""
    rows = sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in papers)
    say(f"refreshing on {rows:,} papers")
    folder = find(bundle, default_store())
    found = run_child("bench.refresh:refresh", {"papers": [str(path) for path in papers], "bundle": str(folder)})
    names = ", ".join(path.name for path in papers)
    return Section(
        settings={"papers": names, "rows": rows, "bundle": Bundle.load(folder).digest},
        figures={"wall_s": found.wall_s, "peak_rss_bytes": found.peak_rss_bytes, **found.result},
        checks=[
            at_most(f"refresh on {rows:,} papers, seconds", found.wall_s, MOST_SECONDS),
            at_most("its peak memory in bytes", found.peak_rss_bytes, MOST_MEMORY_BYTES),
        ],
    )


def refresh(settings: dict[str, Any]) -> dict[str, Any]:
    """Run the command as the timer does."""
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name) / "fresh"
        args = [*settings["papers"], "--bundle", settings["bundle"], "-o", str(fresh)]
        if code := exit_code_of(refresh_command, args):
            raise RuntimeError(f"exit code {code}")
        return {"published": fresh.exists()}
