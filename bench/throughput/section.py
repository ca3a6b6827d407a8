"""The section `throughput` of a results file: the contest, the anatomy, and the bounds that issue from both."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from bench.dump import make_dump
from bench.machine import has_vnni
from bench.measure import Case, Say, quartiles, run_child, take_turns
from bench.results import Check, Section, at_least, at_most
from bench.throughput.contest import SEED, contest, draw
from bench.throughput.contestants import PEERS
from bench.throughput.subjects import SAMPLE, Subject, halves, make_subjects
from ro32.model.bundle import Bundle, shipped_folder
from ro32.model.processor import available_cores, installed_versions

PAPERS = {"small": 192, "base": 64}  # of a repeat: seconds of ro32's time, minutes of its slowest peer's
ALONE_TIMES = 5  # so many times the papers when ro32 runs alone, so that the cost of a run itself is small too
MOST_PAPERS = 960
FREE_PAPERS = 8_000  # of a dump that is scored by a model that costs nothing
LEAST = {
    "transformers": (15.0, 4.5),
    "optimum": (1.5, 1.1),
    "openvino": (1.2, 1.7),
    "shipped share": (0.45, 0.6),
    "base share": (0.6, 0.65),
    "shipped": (200, 40),
}
"""Bounds with and without VNNI: somewhat less than the committed results of each kind of processor have."""
PEER_PACKAGES = ("sentence-transformers", "optimum-intel", "openvino", "nncf")


def measure(folder: Path, *, repeats: int, full: bool, say: Say) -> Section:
    """Measure all of it, in subjects that are in a folder, or are made there.

    In full there are four times as many papers, and each setting of a peer is tried three times instead of once.
    """
    small, base = make_subjects(folder, say)
    times, sweeps = (4, 3) if full else (1, 1)
    contests = {
        subject.name: contest(subject, papers=_size(subject, times), repeats=repeats, sweeps=sweeps, say=say)
        for subject in (small, base)
    }
    models = {"shipped": (shipped_folder(), small), base.name: (base.bundle, base)}
    bundles = {name: Bundle.load(path) for name, (path, _) in models.items()}
    figures = {
        "contest": contests,
        "bundles": {name: bundle.digest for name, bundle in bundles.items()},
        "shipped_export": bundles["shipped"].manifest.quality["encoder_export"]["int8_against_fp32"],
        **anatomy(models, folder, repeats=repeats, times=times, say=say),
    }
    return Section(
        settings={
            "sample": SAMPLE.name,
            "papers": {subject.name: _size(subject, times) for subject in (small, base)},
            "papers_alone": {subject.name: _size(subject, times * ALONE_TIMES) for subject in (small, base)},
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
    models: Mapping[str, tuple[Path, Subject]], folder: Path, *, repeats: int, times: int, say: Say
) -> dict[str, Any]:
    """Take ro32 apart: threads, stages, operators, lengths, and all but the model.

    `models` has by name a bundle and the subject whose shape it has. All but operators and lengths is measured in
    turns, with so many times the usual number of papers.
    """
    counts = sorted({1, min(2, available_cores()), available_cores()})
    _, papers = halves(folder)
    with TemporaryDirectory() as name:
        place = Path(name)
        turns: dict[str, Case] = {}
        settings: dict[str, dict[str, Any]] = {}
        for model, (bundle, subject) in models.items():
            (place / model).mkdir()
            size = _size(subject, times * ALONE_TIMES)
            files = draw(pl.read_parquet(papers), place / model, papers=size, repeats=repeats)
            settings[model] = {"bundle": str(bundle), "files": list(map(str, files)), "shape": subject.shape}
            for threads in counts:
                on_threads = {**settings[model], "threads": threads}
                turns[f"{model} score {threads}"] = ("bench.throughput.anatomy:score", on_threads)
                turns[f"{model} peak {threads}"] = ("bench.throughput.roofline:peak", on_threads)
        make_dump(SAMPLE, place / "dump.parquet", rows=FREE_PAPERS, seed=SEED)
        free = {"bundle": str(shipped_folder()), "files": [str(place / "dump.parquet")]}
        turns["free"] = ("bench.throughput.anatomy:without_model", free)
        children = take_turns(turns, repeats, say)
        found = {name: [child.result for child in repeated] for name, repeated in children.items()}
        once = {
            name: {
                model: run_child(f"bench.throughput.anatomy:{name}", given).result for model, given in settings.items()
            }
            for name in ("operators", "lengths")
        }
    stages = {model: [result["stages_s"] for result in found[f"{model} score {counts[-1]}"]] for model in models}
    return {
        "threads": {model: {str(threads): _at(found, model, threads) for threads in counts} for model in models},
        "stages_s": {
            model: {stage: quartiles([each[stage] for each in repeated]) for stage in repeated[0]}
            for model, repeated in stages.items()
        },
        "without_model": {
            "papers_per_s": _over_repeats(found["free"], "papers_per_s"),
            "papers_per_processor_s": _over_repeats(found["free"], "papers_per_processor_s"),
            "stages_s": found["free"][0]["stages_s"],
        },
        "operators": once["operators"],
        "length_s": {
            model: {length: quartiles(seconds) for length, seconds in of_model.items()}
            for model, of_model in once["lengths"].items()
        },
    }


def _size(subject: Subject, times: int) -> int:
    """Return the papers of a repeat; the half of the sample that is measured on has no more."""
    return min(times * PAPERS[subject.name], MOST_PAPERS)


def _at(found: Mapping[str, list[dict[str, Any]]], model: str, threads: int) -> dict[str, Any]:
    """Put together what was found with a number of threads, the share of the peak repeat by repeat."""
    results, peaks = found[f"{model} score {threads}"], found[f"{model} peak {threads}"]
    shares = [
        result["operations_per_s"] / peak["operations_per_s"] for result, peak in zip(results, peaks, strict=True)
    ]
    return {
        "papers_per_s": _over_repeats(results, "papers_per_s"),
        "tokens_per_s": _over_repeats(results, "tokens_per_s"),
        "peak_operations_per_s": _over_repeats(peaks, "operations_per_s"),
        "useful_operations_per_s": _over_repeats(results, "operations_per_s"),
        "share_of_peak": quartiles(shares),
    }


def _over_repeats(results: list[dict[str, Any]], name: str) -> dict[str, float]:
    return quartiles([result[name] for result in results])


def checks(figures: Mapping[str, Any], cores: int) -> list[Check]:
    """Return the bounds, for what took part."""
    least = {name: bounds[0 if has_vnni() else 1] for name, bounds in LEAST.items()}
    base, small = figures["contest"]["base"], figures["contest"]["small"]
    ours = base["ro32"]["papers_per_s"]["median"]
    in_batches = next(item for name, item in base.items() if "transformers" in name and item["setting"] == "32")
    rivals = {"transformers": in_batches, "optimum": base.get("optimum"), "openvino": base.get("openvino")}
    bounds = [
        at_least(
            f"BERT-base size, papers/s, ro32 : {rival['title']} ({rival['setting']})",
            ours / rival["papers_per_s"]["median"],
            least[name],
        )
        for name, rival in rivals.items()
        if rival is not None
    ]
    for model, entries in figures["threads"].items():
        share = entries[str(cores)]["share_of_peak"]["median"]
        bounds.append(
            at_least(f"{model} model: useful operations, share of the int8 peak", share, least[f"{model} share"])
        )
        if "2" in entries:
            ratio = entries["2"]["papers_per_s"]["median"] / entries["1"]["papers_per_s"]["median"]
            bounds.append(at_least(f"{model} model: papers/s, 2 threads : 1", ratio, 1.9))
    shipped, free = small["ro32-shipped"]["papers_per_s"], figures["without_model"]["papers_per_processor_s"]
    export = figures["shipped_export"]
    papers, flips = export["flips_of_all"]["papers"], export["flips_of_all"]["flips"]
    what = f"the model that ships: labels that int8 changes, share of {papers:,} papers, by its export"
    return [
        *bounds,
        at_least("the model that ships, papers/s", shipped["median"], least["shipped"]),
        at_least("all but the model, papers/s of one core", free["median"], 1_000),
        at_most(what, flips / papers, 0.001),
        at_most("the model that ships: average precision that int8 loses, by its export", export["ap_loss"], 0.002),
    ]
