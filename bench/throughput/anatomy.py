"""Where ro32 spends its time. `bench.measure` runs each function in its own process.

The settings of all are bundle and files: Parquet files of papers, one for each repeat.
"""

import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
REPEATS = 9  # of each length


class Timed(Classifier):
    """Adds up the seconds that its threads spend in each part of it, and what the model saw."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **kwargs)
        self.notes: list[tuple[str, float]] = []  # appended to by all threads, which needs no lock
        self.lengths: list[int] = []

    def spent(self) -> dict[str, float]:
        """Return the seconds of all threads together, by what they were spent on."""
        sums: dict[str, float] = defaultdict(float)
        for name, seconds in self.notes:
            sums[name] += seconds
        return sums

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.notes.append((name, time.perf_counter() - started))

    def encode(self, title: str, abstract: str) -> list[int]:
        """Tokenize."""
        with self._timed("tokenize"):
            input_ids = super().encode(title, abstract)
        self.lengths.append(len(input_ids))
        return input_ids

    def linear_scores(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.float64]:
        """Score by words."""
        with self._timed("linear view"):
            return super().linear_scores(titles, abstracts)

    def logits(self, input_ids: Sequence[int]) -> NDArray[np.float32]:
        """Run the model."""
        with self._timed("model"):
            return super().logits(input_ids)


class Free(Timed):
    """A model that costs nothing; all else is done."""

    def logits(self, input_ids: Sequence[int]) -> NDArray[np.float32]:  # noqa: ARG002
        """Return logits that are not positive."""
        return np.array([3.0, -3.0], dtype=np.float32)


def score(settings: dict[str, Any]) -> dict[str, Any]:
    """Score the file of a repeat as the command does, warmed up by a few papers, and tell where the time went.

    Further settings are repeat, threads, and the encoder's shape: layers, hidden and feed_forward. Of the results,
    operations_per_s are those of the model while it runs, and stages_s what each thread spent on average.
    """
    classifier = Timed.load(settings["bundle"], full=True)
    papers, threads = settings["files"][settings["repeat"]], settings["threads"]
    how = Settings(threads=threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pl.read_parquet(papers).head(WARM_UP_PAPERS).write_parquet(folder / "few.parquet")
        score_file(folder / "few.parquet", folder / "few-labels.parquet", classifier=classifier, settings=how)
        classifier.notes.clear()
        classifier.lengths.clear()
        started = time.perf_counter()
        score_file(papers, folder / "labels.parquet", classifier=classifier, settings=how)
        wall = time.perf_counter() - started
    stages = {name: seconds / threads for name, seconds in classifier.spent().items()}
    return {
        "papers_per_s": len(classifier.lengths) / wall,
        "tokens_per_s": sum(classifier.lengths) / wall,
        "operations_per_s": useful_operations(classifier.lengths, **settings["shape"]) / stages["model"],
        "stages_s": {**stages, "other": wall - sum(stages.values())},
    }


def without_model(settings: dict[str, Any]) -> dict[str, Any]:
    """Do all but the model, on one core; measured are papers/s by the clock and by the processor's time, and stages."""
    classifier, journal = Free.load(settings["bundle"], full=True), Journal()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        target = f"{folder}/labels.parquet"
        started, processor = time.perf_counter(), time.process_time()
        score_file(settings["files"][0], target, classifier=classifier, settings=Settings(threads=1), journal=journal)
        wall, spent = time.perf_counter() - started, time.process_time() - processor
    papers = len(classifier.lengths)
    return {
        "papers_per_s": papers / wall,
        "papers_per_processor_s": papers / spent,
        "stages_s": {**classifier.spent(), **{str(stage): seconds for stage, seconds in journal.seconds().items()}},
    }


def operators(settings: dict[str, Any]) -> dict[str, Any]:
    """Profile the model operator by operator, on one thread, and return the share of the time of each."""
    bundle = Bundle.load(Path(settings["bundle"]))
    papers = _token_ids(Classifier(bundle), settings["files"][0])[:PROFILED_PAPERS]
    options = session_options()
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as place:
        options.profile_file_prefix = f"{place}/profile"
        encoder, session = Encoder.start(bundle), open_session(bundle.model, options)
        for input_ids in papers:
            session.run(None, encoder.feeds(input_ids))
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    return {name: duration / spent.total() for name, duration in spent.most_common()}


def lengths(settings: dict[str, Any]) -> dict[str, Any]:
    """Time the model on one thread, and return the seconds of each repeat by number of tokens."""
    classifier = Classifier.load(settings["bundle"])
    longest = max(_token_ids(classifier, settings["files"][0]), key=len)
    found: dict[str, list[float]] = {str(length): [] for length in LENGTHS if length <= len(longest)}
    for repeat in range(-1, REPEATS):  # one to warm up
        for name, seconds in found.items():
            started = time.perf_counter()
            classifier.logits(longest[: int(name)])
            if repeat >= 0:
                seconds.append(time.perf_counter() - started)
    return found


def _token_ids(classifier: Classifier, papers: str) -> list[list[int]]:
    frame = pl.read_parquet(papers, columns=["title", "abstract"]).select(normalize(pl.all()))
    return [ids for title, abstract in frame.iter_rows() if (ids := classifier.encode(title, abstract))]
