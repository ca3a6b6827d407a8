"""The section `throughput` of a results file: the contest, the anatomy, and the bounds that issue from both."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from bench.dump import make_dump
from bench.machine import Kind, kind
from bench.measure import Child, Spread, run_child, take_turns
from bench.results import Check, Section
from bench.throughput.contest import SEED, contest, draw
from bench.throughput.contestants import PEERS
from bench.throughput.subjects import SAMPLE, Subject, halves, make_subjects
from ro32.model.bundle import Bundle
from ro32.model.processor import available_cores, installed_versions

SHIPPED = "shipped"
PAPERS = {"small": 192, "base": 64}
"""Of one repeat of the contest: seconds of ro32's time, minutes of its slowest peer's."""
ALONE_TIMES = 5
"""Times as many has a repeat of ro32 alone, so that what a run costs besides its papers is small there too."""
MOST_PAPERS = 960
FREE_PAPERS = 8_000
"""Of a dump that is scored by a model that costs nothing."""
LEAST = {
    Kind.VNNI: {
        "transformers": 15.0,
        "optimum": 1.5,
        "openvino": 1.2,
        "shipped share": 0.45,
        "base share": 0.6,
        "shipped": 200,
    },
    Kind.OTHER: {
        "transformers": 4.5,
        "optimum": 1.1,
        "openvino": 1.7,
        "shipped share": 0.6,
        "base share": 0.65,
        "shipped": 40,
    },
}
"""Somewhat less than the committed results of each kind of processor have."""
PEER_PACKAGES = ("sentence-transformers", "optimum-intel", "openvino", "nncf")

Say = Callable[[str], object]


def measure(folder: Path, *, repeats: int, full: bool, say: Say) -> Section:
    """Measure all of it, in subjects that are in a folder, or are made there.

    In full there are four times as many papers, and each setting of a peer is tried three times instead of once.
    """
    small, base = make_subjects(folder, say)
    times = 4 if full else 1
    contests = {
        subject.name: contest(
            subject,
            papers=_size(subject.name, times),
            repeats=repeats,
            sweeps=3 if full else 1,
            say=say,
        )
        for subject in (small, base)
    }
    models = {SHIPPED: (None, small), base.name: (base.bundle, base)}
    figures = {
        "contest": contests,
        "bundles": {name: _bundle(path).digest for name, (path, _) in models.items()},
        "shipped_export": _int8_losses(_bundle(None)),
        **anatomy(models, folder, repeats=repeats, times=times, say=say),
    }
    return Section(
        settings={
            "sample": SAMPLE.name,
            "papers": {name: _size(name, times) for name in PAPERS},
            "papers_alone": {name: _size(name, times * ALONE_TIMES) for name in PAPERS},
            "repeats": repeats,
            "full": full,
            "cores": available_cores(),
            "peers": installed_versions(PEER_PACKAGES),
            "left_out": [peer.title for peer in PEERS if not peer.installed],
        },
        figures=figures,
        checks=checks(figures, available_cores()),
    )


def anatomy(
    models: Mapping[str, tuple[Path | None, Subject]], folder: Path, *, repeats: int, times: int, say: Say
) -> dict[str, Any]:
    """Take ro32 apart: threads, stages, operators, lengths, and all but the model.

    `models` has by name a bundle (None: the one that ships) and the subject whose shape it has. All but operators and
    lengths is measured in turns, with so many times the usual number of papers.
    """
    cores = available_cores()
    counts = sorted({1, 2, cores}) if cores > 1 else [1]
    _, papers = halves(folder)
    with TemporaryDirectory() as name:
        place = Path(name)
        turns: dict[str, Callable[[int], Child]] = {}
        shared: dict[str, dict[str, Any]] = {}
        for model, (bundle, subject) in models.items():
            (place / model).mkdir()
            size = _size(subject.name, times * ALONE_TIMES)
            files = draw(pl.read_parquet(papers), place / model, papers=size, repeats=repeats)
            shape = {"layers": subject.layers, "hidden": subject.hidden, "feed_forward": subject.feed_forward}
            shared[model] = {"bundle": str(bundle or ""), "papers": str(files[0]), **shape}
            for threads in counts:
                settings = {**shared[model], "threads": threads}
                turns[f"{model} score {threads}"] = partial(_score, settings, tuple(map(str, files)))
                turns[f"{model} peak {threads}"] = partial(_child, "roofline:peak", settings)
        dump = place / "dump.parquet"
        make_dump(SAMPLE, dump, rows=FREE_PAPERS, seed=SEED)
        turns["free"] = partial(_child, "anatomy:without_model", {"bundle": "", "papers": str(dump)})
        found = {
            name: [child.result for child in children] for name, children in take_turns(turns, repeats, say).items()
        }
        return {
            "threads": {model: {str(threads): _at(found, model, threads) for threads in counts} for model in models},
            "stages_s": {
                model: {
                    stage: asdict(Spread.of([result["stages_s"][stage] for result in results]))
                    for stage in results[0]["stages_s"]
                }
                for model in models
                for results in [found[f"{model} score {cores}"]]
            },
            "without_model": {
                "papers_per_s": _spread(found["free"], "papers_per_s"),
                "papers_per_processor_s": _spread(found["free"], "papers_per_processor_s"),
                "stages_s": found["free"][0]["stages_s"],
            },
            "operators": {
                model: run_child("bench.throughput.anatomy:operators", settings).result
                for model, settings in shared.items()
            },
            "length_s": {
                model: {
                    length: asdict(Spread.of(seconds))
                    for length, seconds in run_child("bench.throughput.anatomy:lengths", settings).result.items()
                }
                for model, settings in shared.items()
            },
        }


def _size(subject: str, times: int) -> int:
    """Return the papers of a repeat; the half of the sample that is measured on has no more."""
    return min(times * PAPERS[subject], MOST_PAPERS)


def _score(settings: dict[str, Any], files: tuple[str, ...], repeat: int) -> Child:
    return run_child("bench.throughput.anatomy:score", {**settings, "papers": files[repeat]})


def _child(target: str, settings: dict[str, Any], _repeat: int) -> Child:
    return run_child(f"bench.throughput.{target}", settings)


def _at(found: Mapping[str, list[dict[str, Any]]], model: str, threads: int) -> dict[str, Any]:
    """Put together what was found with a number of threads, the share of the peak repeat by repeat."""
    results, peaks = found[f"{model} score {threads}"], found[f"{model} peak {threads}"]
    shares = [
        result["operations_per_s"] / peak["operations_per_s"] for result, peak in zip(results, peaks, strict=True)
    ]
    return {
        "papers_per_s": _spread(results, "papers_per_s"),
        "tokens_per_s": _spread(results, "tokens_per_s"),
        "peak_operations_per_s": _spread(peaks, "operations_per_s"),
        "useful_operations_per_s": _spread(results, "operations_per_s"),
        "share_of_peak": asdict(Spread.of(shares)),
    }


def _spread(results: list[dict[str, Any]], name: str) -> dict[str, float]:
    return asdict(Spread.of([result[name] for result in results]))


def checks(figures: Mapping[str, Any], cores: int) -> tuple[Check, ...]:
    """Return the bounds, for what took part."""
    base, small = figures["contest"]["base"], figures["contest"]["small"]
    ours = base["ro32"]["papers_per_s"]["median"]
    bounds = []
    thirty_two = next(
        item for name, item in base.items() if name.startswith("transformers") and item["setting"] == "32"
    )
    rivals = ((thirty_two, "transformers"), (base.get("optimum"), "optimum"), (base.get("openvino"), "openvino"))
    least = LEAST[kind()]
    for rival, name in rivals:
        if rival is not None:
            what = f"BERT-base size, papers/s, ro32 : {rival['title']} ({rival['setting']})"
            bounds.append(Check(what=what, found=ours / rival["papers_per_s"]["median"], bound=least[name]))
    for model, entries in figures["threads"].items():
        share = entries[str(cores)]["share_of_peak"]["median"]
        bounds.append(
            Check(
                what=f"{model} model: useful operations, share of the int8 peak",
                found=share,
                bound=least[f"{model} share"],
            )
        )
        if "2" in entries:
            ratio = entries["2"]["papers_per_s"]["median"] / entries["1"]["papers_per_s"]["median"]
            bounds.append(Check(what=f"{model} model: papers/s, 2 threads : 1", found=ratio, bound=1.9))
    bounds += [
        Check(
            what="the model that ships, papers/s",
            found=small["ro32-shipped"]["papers_per_s"]["median"],
            bound=least["shipped"],
        ),
        Check(
            what="all but the model, papers/s of one core",
            found=figures["without_model"]["papers_per_processor_s"]["median"],
            bound=1_000,
        ),
    ]
    exported = figures["shipped_export"]
    if "flips_of_all" in exported:
        papers = f"of {exported['flips_of_all']['papers']:,} papers, by its export"
        bounds += [
            Check(
                what=f"the model that ships: labels that int8 changes, share {papers}",
                found=exported["flips_of_all"]["flips"] / exported["flips_of_all"]["papers"],
                bound=0.001,
                at_least=False,
            ),
            Check(
                what="the model that ships: average precision that int8 loses, by its export",
                found=exported["ap_loss"],
                bound=0.002,
                at_least=False,
            ),
        ]
    return tuple(bounds)


def _bundle(path: Path | None) -> Bundle:
    return Bundle.shipped() if path is None else Bundle.load(path)


def _int8_losses(bundle: Bundle) -> dict[str, Any]:
    """Return the differences of int8 from fp32, on many more papers than a benchmark has."""
    losses: dict[str, Any] = bundle.manifest.quality["encoder_export"]["int8_against_fp32"]
    return losses
