"""How many threads score the fastest here: measured on the user's own papers, remembered for this machine and model.

Scores do not depend on the answer, so a wrong one costs time and nothing else.
"""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import Any

from ro32.data.papers import read_parts
from ro32.errors import InputDataError
from ro32.model.classifier import Classifier
from ro32.model.processor import available_cores, processor_name
from ro32.run.inputs import find_inputs
from ro32.run.job import Settings
from ro32.run.plan import make_plan
from ro32.storage import durable

SECONDS = 30.0
"""That measuring takes, about."""
ROUNDS = 5
"""In which every number of threads takes its turn, so that a busy minute of the machine hits all of them."""
MOST_PAPERS = 2_000
"""Taken from the beginning of the input."""
GAIN = 1.02
"""More threads are only taken for more than this: less is noise, and threads are somebody else's too."""
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a number of threads achieved.

    Attributes:
        threads: How many.
        papers_per_s: Median of the rounds, then the slowest and the fastest.
        low: See there.
        high: See there.
    """

    threads: int
    papers_per_s: float
    low: float
    high: float


def autotune(
    inputs: Sequence[str], classifier: Classifier, settings: Settings, *, seconds: float = SECONDS
) -> tuple[Trial, ...]:
    """Measure, on the first papers of the input.

    Args:
        inputs: As for `ro32.score.score_file`.
        classifier: The model.
        settings: Whose columns and limit of expansion are used.
        seconds: To take, about.

    Returns:
        One trial for each number of threads, ascending.

    Raises:
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for, or has no text.
    """
    papers = _first_papers(inputs, classifier, settings)
    counts = candidates(available_cores())
    each = seconds / (len(counts) * ROUNDS)
    rates: dict[int, list[float]] = {count: [] for count in counts}
    _rate(classifier, papers, counts[-1], each / 2)  # the first runs allocate memory
    for _ in range(ROUNDS):
        for count in counts:
            rates[count].append(_rate(classifier, papers, count, each))
    return tuple(
        Trial(threads=count, papers_per_s=median(found), low=min(found), high=max(found))
        for count, found in rates.items()
    )


def candidates(cores: int) -> list[int]:
    """Return the numbers of threads to try: powers of two, all cores, and half of them, should two share one unit."""
    powers = {1 << power for power in range(cores.bit_length())}
    return sorted(count for count in powers | {max(cores // 2, 1), cores} if count <= cores)


def best(trials: Sequence[Trial]) -> Trial:
    """Return the fastest trial, or one of fewer threads that is as good as that."""
    most = max(trial.papers_per_s for trial in trials)
    return next(trial for trial in trials if trial.papers_per_s * GAIN >= most)


def remember(classifier: Classifier, trial: Trial, cache: Path | None = None) -> Path:
    """Write down a choice for this machine and model, and return the file.

    Raises:
        OutputError: It cannot be created.
        OSError: The disk failed, or a folder cannot be created.
        RuntimeError: The user has no home, and no cache folder is named.
    """
    path = _file(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = _known(path) | {_key(classifier): asdict(trial)}
    durable.write(path, json.dumps({"format": _FORMAT, "choices": known}, indent=1).encode())
    return path


def remembered_threads(classifier: Classifier, cache: Path | None = None) -> int | None:
    """Return the number of threads that was chosen for this machine and model; None where none was."""
    with suppress(RuntimeError):  # who has no home has nothing there
        threads = _known(_file(cache)).get(_key(classifier), {}).get("threads")
        return threads if isinstance(threads, int) and 1 <= threads <= available_cores() else None
    return None


def _first_papers(inputs: Sequence[str], classifier: Classifier, settings: Settings) -> list[tuple[str, str]]:
    plan = make_plan(find_inputs(inputs, settings.stores), settings.columns, MOST_PAPERS, settings.max_expansion)
    texts = chain.from_iterable(
        zip(papers.titles, papers.abstracts, strict=True)
        for _, papers in read_parts(plan.parts, plan.columns, plan.id_type)
    )
    found = [paper for paper in islice(texts, MOST_PAPERS) if classifier.encode(*paper)]
    if not found:
        raise InputDataError(f"{', '.join(inputs)}: no text in the first {MOST_PAPERS:,} papers; name other papers")
    return found


def _rate(classifier: Classifier, papers: Sequence[tuple[str, str]], threads: int, seconds: float) -> float:
    """Score papers again and again for a while, and return how many that were in a second."""
    end = time.perf_counter() + seconds

    def work(first: int) -> int:
        done = 0
        while not done or time.perf_counter() < end:
            title, abstract = papers[(first + done * threads) % len(papers)]
            linear = classifier.linear_scores([title], [abstract])
            classifier.score(classifier.encode(title, abstract), float(linear[0]))
            done += 1
        return done

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, range(threads)))
    return done / (time.perf_counter() - started)


def _file(cache: Path | None) -> Path:
    """Return the file of choices. Source: https://specifications.freedesktop.org/basedir-spec/latest/."""
    if cache is None:
        named, home = Path(os.environ.get("XDG_CACHE_HOME", "")), Path("~").expanduser()
        cache = named if named.is_absolute() else home / ".cache"
    return cache / "ro32" / "autotune.json"


def _key(classifier: Classifier) -> str:
    return f"{processor_name()}, {available_cores()} cores, {classifier.scoring_digest}"


def _known(path: Path) -> dict[str, Any]:
    """Return the choices of a file; none where it is not one of ours, since measuring again is all that it costs."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_bytes())
        if content["format"] == _FORMAT:
            return {key: dict(choice) for key, choice in content["choices"].items()}
    return {}
