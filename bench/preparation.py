"""What training does before its first step, at the size of all of arXiv: read, deduplicate, tokenize, split, choose."""

import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.dump import make_dump
from bench.measure import run_child
from bench.results import Check, Section
from ro32.train.choose import choose_training, choose_validation, split, take
from ro32.train.config import SMALL
from ro32.train.corpus import load_corpus
from ro32.train.dump import Dump
from ro32.train.encoder import Encoder

LEAST_PAPERS_PER_S = 2_000
MOST_MEMORY_BYTES = 2_000_000_000
SEED = 1


def prepare(papers: Path, *, rows: int, formats: tuple[str, ...], say: Callable[[str], object]) -> Section:
    """Make a dump of that many rows, and prepare a training from it, once for each format.

    Args:
        papers: Parquet file of real papers to make the dump from.
        rows: Papers in the dump.
        formats: Of "parquet" and "json".
        say: Receives progress messages.
    """
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in formats:
            dump = Path(folder) / f"dump.{name}"
            say(f"making {rows:,} papers, {name}")
            run_child("bench.preparation:make", {"papers": str(papers), "target": str(dump), "rows": rows})
            say(f"preparing {name}")
            child = run_child("bench.preparation:measure", {"dump": str(dump), "cache": str(Path(folder) / name)})
            figures[name] = child.result | {
                "dump_bytes": dump.stat().st_size,
                "papers_per_s": rows / child.result["total_s"],
                "peak_rss_bytes": child.peak_rss_bytes,
            }
            dump.unlink()
    return Section(
        settings={"papers": papers.name, "rows": rows, "seed": SEED},
        figures=figures,
        checks=tuple(
            check
            for name, found in figures.items()
            for check in (
                Check(what=f"preparation from {name}, papers/s", found=found["papers_per_s"], bound=LEAST_PAPERS_PER_S),
                Check(
                    what=f"preparation from {name}, peak memory in bytes",
                    found=found["peak_rss_bytes"],
                    bound=MOST_MEMORY_BYTES,
                    at_least=False,
                ),
            )
        ),
    )


def make(settings: dict[str, Any]) -> dict[str, Any]:
    """Make the dump."""
    make_dump(Path(settings["papers"]), Path(settings["target"]), rows=settings["rows"], seed=SEED)
    return {}


def measure(settings: dict[str, Any]) -> dict[str, Any]:
    """Prepare a training by the preset `small` from a dump, and from the cache that this leaves."""
    recipe = SMALL
    encoder = Encoder(recipe.base, max_length=recipe.max_length)
    times = [time.perf_counter()]

    def load() -> Any:  # noqa: ANN401 - a Corpus
        return load_corpus(dump, tokenizer_json=encoder.tokenizer_json, max_length=512, cache=Path(settings["cache"]))

    dump = Dump.open(Path(settings["dump"]))
    times.append(time.perf_counter())
    corpus = load()
    times.append(time.perf_counter())
    sides = [take(corpus, side, recipe.category) for side in split(corpus, recipe)]
    training = choose_training(sides[0], recipe)
    validation = choose_validation(sides[1], sides[0], recipe)
    times.append(time.perf_counter())
    load()
    times.append(time.perf_counter())
    digest_s, tokenize_s, choose_s, cached_s = (b - a for a, b in pairwise(times))
    return {
        "digest_and_count_s": digest_s,
        "read_and_tokenize_s": tokenize_s,
        "choose_s": choose_s,
        "read_from_cache_s": cached_s,
        "total_s": digest_s + tokenize_s + choose_s,
        "papers": len(corpus),
        "duplicates": corpus.duplicates,
        "training_papers": len(training),
        "validation_papers": len(validation),
    }
