"""The Ray engine against the local one, on the same cores of this machine: the cost of distributing parts.

Each repeat scores a dump of one paper a core, and then the large dump. The former is the start, of actors above all,
and does not count. The cascade is off: with it, this machine's cores would be done too soon to tell.
"""

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from bench.dump import make_dump
from bench.measure import Say, quartiles, take_turns
from bench.results import Section, at_most
from ro32.cluster.connection import connected
from ro32.cluster.ray_engine import RayEngine
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.processor import available_cores
from ro32.run.engine import Engine, score_locally
from ro32.run.job import Settings
from ro32.run.walk import score_file

SEED = 3
MOST_OVERHEAD = 1.10  # seconds of the Ray engine beyond its start for each second of the local one beyond its own


def measure(papers: Path, *, rows: int, part_rows: int, repeats: int, say: Say, address: str = "local") -> Section:
    """Score one dump by both engines in turns; by default each run of Ray has a new cluster on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        for dump, size in (("large", rows), ("small", available_cores())):
            make_dump(papers, Path(folder, f"{dump}.parquet"), rows=size, seed=SEED)
        case = {"folder": folder, "part_rows": part_rows, "address": address}
        turns = {engine: ("bench.cluster:score", {**case, "engine": engine}) for engine in ("local", "ray")}
        found = take_turns(turns, repeats, say)
    seconds = {engine: quartiles([child.result["seconds"] for child in of]) for engine, of in found.items()}
    overhead = seconds["ray"]["median"] / seconds["local"]["median"]
    settings = {"papers": papers.name, "rows": rows, "part_rows": part_rows, "cores": available_cores()}
    return Section(
        settings={**settings, "repeats": repeats},
        figures={
            engine: {
                "seconds": seconds[engine],
                "start_s": quartiles([child.result["start_s"] for child in of]),
                "papers_per_s": rows / seconds[engine]["median"],
                "driver_peak_rss_bytes": max(child.peak_rss_bytes for child in of),
            }
            for engine, of in found.items()
        },
        checks=[at_most("seconds by Ray : seconds by the local engine, starts apart", overhead, MOST_OVERHEAD)],
    )


def score(settings: dict[str, Any]) -> dict[str, Any]:
    """Score both dumps by one engine: with a thread a core, or with an actor of one thread a core."""
    by_ray, cores = settings["engine"] == "ray", available_cores()
    engine: Engine = RayEngine(Bundle.shipped(), least=cores, most=cores) if by_ray else score_locally
    classifier, threads = Classifier.load(full=True), 1 if by_ray else cores
    took = {}
    with connected(settings["address"]) if by_ray else nullcontext():
        for dump, part_rows in (("small", 1), ("large", settings["part_rows"])):
            papers, target = (Path(settings["folder"], f"{name}.parquet") for name in (dump, f"{dump}-labels"))
            how = Settings(threads=threads, part_rows=part_rows, no_reuse=True)
            started = time.perf_counter()
            score_file(papers, target, classifier=classifier, settings=how, engine=engine)
            took[dump] = time.perf_counter() - started
            target.unlink()
    return {"seconds": took["large"] - took["small"], "start_s": took["small"]}
