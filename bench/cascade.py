"""The cascade beside full scoring: papers a second from Parquet to Parquet, changed labels, and where the time goes.

The cascade labels all papers. Full scoring labels every so-many-th of them, because it takes so much longer; its start,
a second of a minute, is in its rate. What is timed is the command itself, in a process of its own, imports included.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from bench.front import draw, try_cuts
from bench.large import make_large
from bench.measure import Child, Spread, run_child, take_turns
from bench.results import Check, Section
from bench.throughput.anatomy import Timed
from ro32.cli.process import exit_code_of
from ro32.cli.score import command
from ro32.model.bundle import Bundle, shipped_folder
from ro32.model.metrics import Confusion
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.walk import score_file

LEAST_FASTER = {"small": 10.0, "base": 12.0}
MOST_CHANGED = 0.0001
MOST_F1_LOST = 0.001
MOST_SECONDS = 150.0
_PARTS = {"screening": "linear view", "tokenizing": "tokenize", "encoding": "model"}
"""What the figures call the parts of a classifier."""
ALL_ROWS = 88_785
"""Papers that `MOST_SECONDS` speaks of."""


def measure(
    papers: Path, *, every: int, large_every: int, repeats: int, plot: Path, say: Callable[[str], object]
) -> Section:
    """Label papers with and without the cascade, by the shipped bundle and by one with an encoder of BERT-base's size.

    Args:
        papers: Parquet file of papers with categories.
        every: Full scoring by the shipped bundle labels every so-many-th paper.
        large_every: The same of the large encoder.
        repeats: Of the shipped bundle's runs; the large one's are made once.
        plot: PNG file for the front of speed against changed labels.
        say: Receives progress messages.
    """
    small = shipped_folder()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = folder / "large"
        say("making an encoder of BERT-base's size")
        make_large(small, large)
        rows = pl.scan_parquet(papers).select(pl.len()).collect().item()
        whole = {"papers": str(papers), "cascade": "on", "folder": name, "target": "labels.parquet"}
        for step in (every, large_every):
            pl.read_parquet(papers).gather_every(step).write_parquet(folder / f"every-{step}.parquet")

        def runs(bundle: Path, step: int) -> dict[str, Callable[[int], Child]]:
            full = whole | {"papers": str(folder / f"every-{step}.parquet"), "cascade": "off"}
            both = {"off": full, "on": whole}
            return {
                mode: partial(_score, case | {"bundle": str(bundle), "target": f"{bundle.name}-{mode}.parquet"})
                for mode, case in both.items()
            }

        found = {"small": take_turns(runs(small, every), repeats, say)}
        say("the same by the large encoder")
        found["base"] = take_turns(runs(large, large_every), 1, say)
        say("looking where the time goes")
        anatomy = run_child("bench.cascade:dissect", whole | {"bundle": str(small)}).result
        front = try_cuts(small, folder / "other", rows, lambda other: _score(whole | {"bundle": str(other)}, 0), say)
        labels = _compare(papers, every, folder, small.name)
    speeds = {size: {mode: _rates(children) for mode, children in modes.items()} for size, modes in found.items()}
    certificate = _certificate(small)
    certified = speeds["small"]["on"].median
    chosen = {"cut": certificate["cut"], "papers_per_s": certified, "changed_share": certificate["share"]}
    front = sorted([*front, chosen], key=lambda point: point["cut"])
    draw(front, chosen, full=speeds["small"]["off"].median, most_changed=MOST_CHANGED, path=plot)
    seconds = Spread.of([child.wall_s for child in found["small"]["on"]])
    faster = {size: modes["on"].median / modes["off"].median for size, modes in speeds.items()}
    return Section(
        settings={"papers": papers.name, "rows": rows, "every": every, "large_every": large_every, "repeats": repeats},
        figures={
            **{
                f"{size}, {mode}, papers_per_s": dataclasses.asdict(spread)
                for size, modes in speeds.items()
                for mode, spread in modes.items()
            },
            "small, on, wall_s": dataclasses.asdict(seconds),
            **{
                f"small, {mode}, peak_rss_bytes": max(child.peak_rss_bytes for child in children)
                for mode, children in found["small"].items()
            },
            "small, on, papers": found["small"]["on"][0].result["papers"],
            "certificate": certificate,
            "labels": labels,
            "seconds": anatomy,
            **{f"cut {point['cut']:g}": point for point in front},
        },
        checks=(
            *(
                Check(what=f"{size}: cascade : full scoring, papers/s", found=faster[size], bound=bound)
                for size, bound in LEAST_FASTER.items()
            ),
            Check(
                what="share of changed labels, all certified papers",
                found=certificate["share"],
                bound=MOST_CHANGED,
                at_least=False,
            ),
            Check(what="its upper bound", found=certificate["bound"], bound=MOST_CHANGED, at_least=False),
            Check(what="loss of F1", found=certificate["f1_lost"], bound=MOST_F1_LOST, at_least=False),
            Check(
                what=f"seconds for {ALL_ROWS:,} papers",
                found=seconds.median * ALL_ROWS / rows,
                bound=MOST_SECONDS,
                at_least=False,
            ),
        ),
    )


def _score(settings: dict[str, Any], _repeat: int) -> Child:
    return run_child("bench.cascade:score", settings)


def score(settings: dict[str, Any]) -> dict[str, Any]:
    """Run the command as an operator does, from nothing."""
    folder, target = Path(settings["folder"]), Path(settings["folder"]) / settings["target"]
    target.unlink(missing_ok=True)
    report = folder / "report.json"
    args = [settings["papers"], "-o", str(target), "--bundle", settings["bundle"]]
    args += ["--full"] if settings["cascade"] == "off" else []
    code = exit_code_of(command, [*args, "--report", str(report), "--quiet"])
    if code:
        raise RuntimeError(f"exit code {code}")
    reported = json.loads(report.read_text())
    return {"papers": reported["papers"], "stages": reported["stages"]}


def dissect(settings: dict[str, Any]) -> dict[str, Any]:
    """Tell where the time of a run goes: in the main thread by stage, and in the threads that score."""
    classifier, journal = Timed(Bundle.load(Path(settings["bundle"]))), Journal()
    score_file(
        [settings["papers"]],
        Path(settings["folder"]) / "dissected.parquet",
        classifier=classifier,
        settings=Settings(),
        journal=journal,
    )
    spent = classifier.spent()
    threads = {name: spent.get(part, 0.0) for name, part in _PARTS.items()}
    main = {str(stage): seconds for stage, seconds in journal.seconds().items() if seconds > 0}
    return {"main thread": main, "threads that score": {"all": journal.thread_seconds, **threads}}


def _certificate(bundle: Path) -> dict[str, float]:
    cascade = Bundle.load(bundle).manifest.cascade
    if cascade is None:
        raise ValueError(f"{bundle}: the bundle has no cascade")
    certificate = cascade.certificate
    return {
        "cut": cascade.cut,
        "papers": certificate.papers,
        "screened_share": certificate.screened / certificate.papers,
        "changed": certificate.changed,
        "share": certificate.changed / certificate.papers,
        "bound": certificate.bound,
        "f1_lost": certificate.quality["full_f1"] - certificate.quality["cascade_f1"],
    }


def _compare(papers: Path, every: int, folder: Path, bundle: str) -> dict[str, float]:
    """Compare the labels of both modes where both gave them, with each other and with the categories."""
    listed = pl.read_parquet(papers, columns=["categories"]).gather_every(every)["categories"]
    truth = listed.str.split(" ").list.contains("cs.RO").to_numpy()
    off = pl.read_parquet(folder / f"{bundle}-off.parquet")["label"]
    on = pl.read_parquet(folder / f"{bundle}-on.parquet").gather_every(every)["label"]
    f1 = {name: Confusion.of(truth, (labels == "cs.RO").to_numpy()).f1 for name, labels in (("off", off), ("on", on))}
    return {"compared": len(off), "changed": int((off != on).sum()), "off, f1": f1["off"], "on, f1": f1["on"]}


def _rates(children: Sequence[Child]) -> Spread:
    return Spread.of([child.result["papers"]["rows"] / child.wall_s for child in children])
