"""Where ro32 spends its time. `bench.measure` runs each function in its own process."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.throughput.roofline import useful_operations
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.session import Encoder, open_session, session_options
from ro32.model.text import normalize
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.walk import score_file

WARM_UP_PAPERS = 32
PROFILED_PAPERS = 60
LENGTHS = (32, 64, 96, 128, 192, 256, 384, 512)
REPEATS = 9
"""Of each length."""


class Timed(Classifier):
    """Adds up the seconds that its threads spend in each part of it, and what the model saw."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **kwargs)
        self._notes: list[tuple[str, float]] = []  # appended to by all threads, which needs no lock
        self.lengths: list[int] = []

    def forget(self) -> None:
        """Begin again: what was measured so far was a warm-up."""
        self._notes.clear()
        self.lengths.clear()

    def spent(self) -> dict[str, float]:
        """Return the seconds of all threads together, by what they were spent on."""
        sums: dict[str, float] = {}
        for name, seconds in self._notes:
            sums[name] = sums.get(name, 0.0) + seconds
        return sums

    def encode(self, title: str, abstract: str) -> list[int]:
        """Tokenize."""
        started = time.perf_counter()
        input_ids = super().encode(title, abstract)
        self._notes.append(("tokenize", time.perf_counter() - started))
        self.lengths.append(len(input_ids))
        return input_ids

    def linear_scores(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.float64]:
        """Score by words."""
        started = time.perf_counter()
        scores = super().linear_scores(titles, abstracts)
        self._notes.append(("linear view", time.perf_counter() - started))
        return scores

    def logits(self, input_ids: Sequence[int]) -> NDArray[np.float32]:
        """Run the model."""
        started = time.perf_counter()
        logits = super().logits(input_ids)
        self._notes.append(("model", time.perf_counter() - started))
        return logits


class Free(Timed):
    """A model that costs nothing; all else is done."""

    def logits(self, input_ids: Sequence[int]) -> NDArray[np.float32]:  # noqa: ARG002
        """Return logits that are not positive."""
        return np.array([3.0, -3.0], dtype=np.float32)


def score(settings: dict[str, Any]) -> dict[str, Any]:
    """Score a file as the command does, warmed up by a few papers, and tell where the time went.

    The settings are bundle (empty: the one that ships), papers, threads, and the encoder's layers, hidden and
    feed_forward.

    Returns:
        papers_per_s, tokens_per_s of the whole; operations_per_s of the model while it runs; stages_s, what each
        thread spent on average, and `other` what is left of the whole.
    """
    classifier = Timed.load(_bundle(settings), full=True)
    threads = settings["threads"]
    how = Settings(threads=threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pl.read_parquet(settings["papers"]).head(WARM_UP_PAPERS).write_parquet(folder / "few.parquet")
        score_file([folder / "few.parquet"], folder / "few-labels.parquet", classifier=classifier, settings=how)
        classifier.forget()
        started = time.perf_counter()
        score_file([settings["papers"]], folder / "labels.parquet", classifier=classifier, settings=how)
        wall = time.perf_counter() - started
    stages = {name: seconds / threads for name, seconds in classifier.spent().items()}
    shape = {name: settings[name] for name in ("layers", "hidden", "feed_forward")}
    return {
        "papers_per_s": len(classifier.lengths) / wall,
        "tokens_per_s": sum(classifier.lengths) / wall,
        "operations_per_s": useful_operations(classifier.lengths, **shape) / stages["model"],
        "stages_s": {**stages, "other": wall - sum(stages.values())},
    }


def without_model(settings: dict[str, Any]) -> dict[str, Any]:
    """Do all but the model, on one core, by a bundle on papers.

    Returns:
        papers_per_s, the same by the processor's time instead of the clock's, and stages_s.
    """
    classifier = Free.load(_bundle(settings), full=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    journal = Journal()
    with tempfile.TemporaryDirectory() as folder:
        started, processor = time.perf_counter(), time.process_time()
        score_file(
            [settings["papers"]],
            Path(folder) / "labels.parquet",
            classifier=classifier,
            settings=Settings(threads=1),
            journal=journal,
        )
        wall, spent = time.perf_counter() - started, time.process_time() - processor
    papers = len(classifier.lengths)
    return {
        "papers_per_s": papers / wall,
        "papers_per_processor_s": papers / spent,
        "stages_s": {**classifier.spent(), **{str(stage): seconds for stage, seconds in journal.seconds().items()}},
    }


def operators(settings: dict[str, Any]) -> dict[str, Any]:
    """Profile the model operator by operator, on one thread, and return the share of the time of each."""
    folder = _bundle(settings)
    classifier = Classifier.load(folder)
    bundle = Bundle.shipped() if folder is None else Bundle.load(folder)
    options = session_options()
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as place:
        options.profile_file_prefix = str(Path(place) / "profile")
        encoder, session = Encoder.start(bundle), open_session(bundle.model, options)
        for input_ids in _token_ids(classifier, settings["papers"])[:PROFILED_PAPERS]:
            session.run(None, encoder.feeds(input_ids))
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    return {name: duration / spent.total() for name, duration in spent.most_common()}


def lengths(settings: dict[str, Any]) -> dict[str, Any]:
    """Time the model on one thread, and return the seconds of each repeat by number of tokens."""
    classifier = Classifier.load(_bundle(settings))
    longest = max(_token_ids(classifier, settings["papers"]), key=len)
    found: dict[str, list[float]] = {str(length): [] for length in LENGTHS if length <= len(longest)}
    for repeat in range(-1, REPEATS):  # one to warm up
        for name, seconds in found.items():
            started = time.perf_counter()
            classifier.logits(longest[: int(name)])
            if repeat >= 0:
                seconds.append(time.perf_counter() - started)
    return found


def _bundle(settings: dict[str, Any]) -> Path | None:
    return Path(settings["bundle"]) if settings["bundle"] else None


def _token_ids(classifier: Classifier, papers: str) -> list[list[int]]:
    frame = pl.read_parquet(papers, columns=["title", "abstract"]).select(normalize(pl.all()))
    return [ids for title, abstract in frame.iter_rows() if (ids := classifier.encode(title, abstract))]
