"""The cascade against full scoring: papers/s from Parquet to Parquet, changed labels, and time by stage.

The papers are today's in arXiv's own mix of archives, those of computer science among them, and papers to 2019. Full
scoring labels every so-many-th of them, because it takes so much longer. What is timed is the command itself, in a
process of its own, imports included.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from bench.dump import in_todays_mix, make_dump, read_drawn
from bench.machine import Kind, kind
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

TODAY, COMPUTER_SCIENCE, OLD = "today's mix", "computer science", "to 2019"
LEAST_FASTER = {TODAY: {Kind.VNNI: 9.0, Kind.OTHER: 9.0}, COMPUTER_SCIENCE: {Kind.VNNI: 5.0, Kind.OTHER: 5.0}}
ROWS = {TODAY: 16_000, COMPUTER_SCIENCE: 8_000, OLD: 16_000}
MOST_CHANGED = 0.0001
SEED = 5
_PARTS = {"screening": "linear view", "tokenizing": "tokenize", "encoding": "model"}
"""What the figures call the parts of a classifier."""


def measure(papers: Path, modern: Path, *, every: int, repeats: int, say: Callable[[str], object]) -> Section:
    """Label papers to 2019 and `modern` ones with and without the cascade, in turns, by the shipped bundle."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("making dumps")
        subjects = _make_subjects(papers, modern, folder, every)
        turns = {
            f"{subject}, {mode}": partial(_score, {"folder": name, "cascade": mode, **files[mode]})
            for subject, files in subjects.items()
            for mode in ("off", "on")
        }
        found = take_turns(turns, repeats, say)
        say("looking where the time goes")
        anatomy = run_child("bench.cascade:dissect", {"folder": name, **subjects[TODAY]["on"]}).result
        labels = {subject: _compare(files, every) for subject, files in subjects.items()}
    rates = {turn: _rates(children) for turn, children in found.items()}
    faster = {subject: rates[f"{subject}, on"].median / rates[f"{subject}, off"].median for subject in subjects}
    certificate = _certificate(shipped_folder())
    return Section(
        settings={"papers": papers.name, "modern": modern.name, "rows": ROWS, "every": every, "repeats": repeats},
        figures={
            **{f"{turn}, papers_per_s": dataclasses.asdict(spread) for turn, spread in rates.items()},
            "faster": faster,
            "share_encoded": {subject: _encoded(found[f"{subject}, on"][0]) for subject in subjects},
            "peak_rss_bytes": max(child.peak_rss_bytes for children in found.values() for child in children),
            "certificate": certificate,
            "labels": labels,
            "seconds": anatomy,
        },
        checks=(
            *(
                Check(what=f"{subject}: cascade : full scoring, papers/s", found=faster[subject], bound=bound[kind()])
                for subject, bound in LEAST_FASTER.items()
            ),
            Check(
                what="share of labels that the cascade may change, upper bound at 95 %",
                found=certificate["bound"],
                bound=MOST_CHANGED,
                at_least=False,
            ),
        ),
    )


def _make_subjects(papers: Path, modern: Path, folder: Path, every: int) -> dict[str, dict[str, dict[str, str]]]:
    """Make a dump of each kind, and of every so-many-th paper of it; return their places by subject and mode."""
    today = in_todays_mix(read_drawn(modern))
    sources = {
        TODAY: today,
        COMPUTER_SCIENCE: today.filter(pl.col("categories").str.starts_with("cs.")),
        OLD: read_drawn(papers),
    }
    made = {}
    for number, (subject, source) in enumerate(sources.items()):
        source.write_parquet(folder / "source.parquet")
        places = {mode: folder / f"{number}-{mode}.parquet" for mode in ("off", "on")}
        make_dump(folder / "source.parquet", places["on"], rows=ROWS[subject], seed=SEED)
        pl.read_parquet(places["on"]).gather_every(every).write_parquet(places["off"])
        made[subject] = {
            mode: {"papers": str(place), "target": str(place.with_suffix(".labels.parquet"))}
            for mode, place in places.items()
        }
    return made


def _score(settings: dict[str, Any], _repeat: int) -> Child:
    return run_child("bench.cascade:score", settings)


def score(settings: dict[str, Any]) -> dict[str, Any]:
    """Run the command as an operator does, from nothing."""
    target, report = Path(settings["target"]), Path(settings["folder"]) / "report.json"
    target.unlink(missing_ok=True)
    args = [settings["papers"], "-o", str(target), "--report", str(report), "--quiet"]
    args += ["--bundle", settings["bundle"]] if "bundle" in settings else []
    code = exit_code_of(command, [*args, *(["--full"] if settings["cascade"] == "off" else [])])
    if code:
        raise RuntimeError(f"exit code {code}")
    reported = json.loads(report.read_text())
    return {"papers": reported["papers"], "stages": reported["stages"]}


def dissect(settings: dict[str, Any]) -> dict[str, Any]:
    """Describe the time of a run by stage: in the main thread, and in the scoring threads."""
    bundle = Bundle.load(Path(settings["bundle"])) if "bundle" in settings else Bundle.shipped()
    classifier, journal = Timed(bundle), Journal()
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
        "bound": certificate.bound,
    }


def _compare(files: dict[str, dict[str, str]], every: int) -> dict[str, float]:
    """Compare the labels of both modes where both gave them, with each other and with the categories."""
    listed = pl.read_parquet(files["off"]["papers"], columns=["categories"])["categories"]
    truth = listed.str.split(" ").list.contains("cs.RO").to_numpy()
    off = pl.read_parquet(files["off"]["target"])["label"]
    on = pl.read_parquet(files["on"]["target"]).gather_every(every)["label"]
    f1 = {name: Confusion.of(truth, (labels == "cs.RO").to_numpy()).f1 for name, labels in (("off", off), ("on", on))}
    return {"compared": len(off), "changed": int((off != on).sum()), "off, f1": f1["off"], "on, f1": f1["on"]}


def _encoded(child: Child) -> float:
    papers = child.result["papers"]
    return 1 - float(papers["screened"]) / float(papers["scored"])


def _rates(children: Sequence[Child]) -> Spread:
    return Spread.of([child.result["papers"]["rows"] / child.wall_s for child in children])
