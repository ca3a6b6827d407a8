"""The cascade against full scoring: papers/s of the whole command, changed labels, and time by stage.

The papers are today's in arXiv's own mix of archives, those of computer science among them, and papers to 2019.
"""

import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from bench.dump import in_todays_mix, make_dump, read_drawn
from bench.measure import Say, quartiles, run_child, take_turns
from bench.results import Section, at_least, at_most
from bench.throughput.anatomy import Timed
from ro32.model.bundle import Bundle, shipped_folder
from ro32.model.metrics import Confusion
from ro32.run.journal import Journal
from ro32.run.walk import score_file

TODAY, COMPUTER_SCIENCE, OLD = "today's mix", "computer science", "to 2019"
LEAST_FASTER = {TODAY: 9.0, COMPUTER_SCIENCE: 5.0}
ROWS = {TODAY: 16_000, COMPUTER_SCIENCE: 8_000, OLD: 16_000}
MOST_CHANGED = 0.0001
SEED = 5

Files = dict[str, dict[str, str]]  # papers and target of each mode: "on" all papers, "off" every so-many-th


def measure(papers: Path, modern: Path, *, every: int, repeats: int, say: Say) -> Section:
    """Label papers to 2019 and `modern` ones with and without the cascade, in turns, by the shipped bundle."""
    with tempfile.TemporaryDirectory() as folder:
        say("making dumps")
        subjects = _make_subjects(papers, modern, Path(folder), every)
        turns = {
            f"{subject}, {mode}": ("bench.command:score", {**files[mode], "options": options})
            for subject, files in subjects.items()
            for mode, options in (("off", ["--full"]), ("on", []))
        }
        found = take_turns(turns, repeats, say)
        say("looking where the time goes")
        fresh = {"target": f"{folder}/labels.parquet", "bundle": str(shipped_folder())}
        anatomy = run_child("bench.cascade:dissect", subjects[TODAY]["on"] | fresh).result
        labels = {subject: _compare(files, every) for subject, files in subjects.items()}
    rates = {
        turn: quartiles([child.result["papers"]["rows"] / child.wall_s for child in children])
        for turn, children in found.items()
    }
    faster = {subject: rates[f"{subject}, on"]["median"] / rates[f"{subject}, off"]["median"] for subject in subjects}
    counts = {subject: found[f"{subject}, on"][0].result["papers"] for subject in subjects}
    certificate = _certificate()
    return Section(
        settings={"papers": papers.name, "modern": modern.name, "rows": ROWS, "every": every, "repeats": repeats},
        figures={
            **{f"{turn}, papers_per_s": rate for turn, rate in rates.items()},
            "faster": faster,
            "share_encoded": {subject: 1 - count["screened"] / count["scored"] for subject, count in counts.items()},
            "peak_rss_bytes": max(child.peak_rss_bytes for children in found.values() for child in children),
            "certificate": certificate,
            "labels": labels,
            "seconds": anatomy,
        },
        checks=[
            *(
                at_least(f"{subject}: cascade : full scoring, papers/s", faster[subject], bound)
                for subject, bound in LEAST_FASTER.items()
            ),
            at_most(
                "share of labels that the cascade may change, upper bound at 95 %", certificate["bound"], MOST_CHANGED
            ),
        ],
    )


def _make_subjects(papers: Path, modern: Path, folder: Path, every: int) -> dict[str, Files]:
    """Make a dump of each kind, and of every so-many-th paper of it."""
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


def dissect(settings: dict[str, Any]) -> dict[str, Any]:
    """Describe the time of a run by stage: in the main thread, and in the scoring threads."""
    classifier, journal = Timed.load(settings["bundle"]), Journal()
    score_file(settings["papers"], settings["target"], classifier=classifier, journal=journal)
    spent = classifier.spent()
    return {
        "main thread": {str(stage): seconds for stage, seconds in journal.seconds().items() if seconds > 0},
        "threads that score": {
            "all": journal.thread_seconds,
            "screening": spent["linear view"],
            "tokenizing": spent["tokenize"],
            "encoding": spent["model"],
        },
    }


def _certificate() -> dict[str, float]:
    cascade = Bundle.shipped().manifest.cascade
    if cascade is None:
        raise ValueError("the bundle that ships has no cascade")
    certificate = cascade.certificate
    return {
        "cut": cascade.cut,
        "papers": certificate.papers,
        "screened_share": certificate.screened / certificate.papers,
        "changed": certificate.changed,
        "bound": certificate.bound,
    }


def _compare(files: Files, every: int) -> dict[str, float]:
    """Compare the labels of both modes on the papers that both labelled."""
    listed = pl.read_parquet(files["off"]["papers"], columns=["categories"])["categories"]
    truth = listed.str.split(" ").list.contains("cs.RO").to_numpy()
    off = pl.read_parquet(files["off"]["target"])["label"]
    on = pl.read_parquet(files["on"]["target"]).gather_every(every)["label"]
    f1 = {name: Confusion.of(truth, (labels == "cs.RO").to_numpy()).f1 for name, labels in (("off", off), ("on", on))}
    return {"compared": len(off), "changed": int((off != on).sum()), "off, f1": f1["off"], "on, f1": f1["on"]}
