"""ro32 and its peers on one subject: the same papers, Parquet to Parquet, in turns, in processes that stay loaded."""

import importlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.measure import Spread
from bench.throughput.contestants import OURS, PEERS, SHIPPED, TRANSFORMERS, Contestant
from bench.throughput.subjects import RECIPE, Subject, halves
from bench.throughput.worker import Worker
from ro32.model.metrics import precision_recall
from ro32.model.text import PaperTokenizer, normalize

SWEEP_PAPERS = 32
WARM_UP_PAPERS = 4
SEED = 3

Entry = tuple[Contestant, str]
"""A contestant with one of its settings."""


def contest(
    subject: Subject, *, papers: int, repeats: int, sweeps: int, say: Callable[[str], object]
) -> dict[str, dict[str, Any]]:
    """Let all that are installed score the same papers; each repeat has other ones.

    Each setting of a contestant is tried `sweeps` times to find its best.

    Returns:
        Figures by contestant, and by contestant and setting where several of its settings take part.
    """
    ours = (OURS, SHIPPED) if subject.name == "small" else (OURS,)
    contestants = [item for item in (*ours, *PEERS) if item.installed]
    learn, measure = halves(subject.folder.parent)
    for item in contestants:
        _prepare(item, subject, learn, say)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        files = draw(pl.read_parquet(measure), folder, papers=papers, repeats=repeats)
        first, warm_up, sweep = (folder / f"{name}.parquet" for name in ("first", "warm-up", "sweep"))
        for path, count in ((first, 1), (warm_up, WARM_UP_PAPERS), (sweep, SWEEP_PAPERS)):
            pl.read_parquet(files[0]).head(count).write_parquet(path)
        workers = {}
        for item in contestants:
            say(f"{subject.name}: loading {item.title}")
            workers[item.name] = stack.enter_context(Worker(_settings(item, subject, first, folder)))
        speeds = {
            item.name: _sweep(item, workers[item.name], [warm_up, *[sweep] * sweeps], say) for item in contestants
        }
        entries = [entry for item in contestants for entry in _entries(item, speeds[item.name])]
        seconds, memory = _turns(entries, workers, files, folder, say)
        scores = {entry: _scores(folder, entry, repeats) for entry in entries}
        tokens = [_tokens(subject, path) for path in files]
        truth = np.concatenate([_positive(path) for path in files])
        drawn = np.concatenate([~pl.read_parquet(path)["oversampled"].to_numpy() for path in files])
        reference = scores[next(entry for entry in entries if entry[0] is TRANSFORMERS)]
        return {
            _key(entry, entries): {
                "title": entry[0].title,
                "setting": entry[1],
                "papers_per_s": asdict(Spread.of([papers / each for each in seconds[entry]])),
                "tokens_per_s": asdict(
                    Spread.of([count / each for count, each in zip(tokens, seconds[entry], strict=True)])
                ),
                "cold_start_s": workers[entry[0].name].cold_start_s,
                "peak_rss_bytes": memory[entry],
                "sweep_papers_per_s": speeds[entry[0].name],
                **_quality(truth, drawn, scores[entry], None if entry[0] is SHIPPED else reference),
            }
            for entry in entries
        }


def draw(source: pl.DataFrame, folder: Path, *, papers: int, repeats: int) -> list[Path]:
    """Write a file for each repeat: other papers, as long as there are enough, and no text twice in one file."""
    source = source.unique(subset=["title", "abstract"], keep="first", maintain_order=True)
    order = np.random.default_rng(SEED).permutation(len(source))
    paths = []
    for repeat in range(repeats):
        taken = np.take(order, np.arange(repeat * papers, (repeat + 1) * papers), mode="wrap")
        paths.append(folder / f"papers-{repeat}.parquet")
        source[np.unique(taken)].sample(fraction=1, shuffle=True, seed=SEED).write_parquet(paths[-1])
    return paths


def _prepare(item: Contestant, subject: Subject, learn: Path, say: Callable[[str], object]) -> None:
    if item.prepare is None:
        return
    function, made = item.prepare
    complete = subject.folder / made / ".complete"
    if not complete.exists():
        say(f"{subject.name}: making {item.title}")
        getattr(importlib.import_module("bench.throughput.peers"), function)(subject.folder, learn)
        complete.touch()


def _settings(item: Contestant, subject: Subject, first: Path, folder: Path) -> dict[str, Any]:
    place = subject.folder
    if item.load == "ro32":
        place = Path() if item is SHIPPED else subject.bundle
    return {
        "load": item.load,
        "folder": str(place),
        "first": str(first),
        "output": str(folder / f"first-{item.name}.parquet"),
        "setting": item.settings[0],
    }


def _sweep(item: Contestant, worker: Worker, trials: Sequence[Path], say: Callable[[str], object]) -> dict[str, float]:
    """Return the papers a second of each setting, the best of some trials; the first warms up and does not count."""
    found = {}
    for setting in item.settings:
        say(f"{item.title}: trying {setting}")
        output = trials[0].with_name(f"sweep-{item.name}-{setting}.parquet")
        seconds = []
        for papers in trials:
            seconds.append(worker.score(papers, output, setting)["wall_s"])
            output.unlink()  # ro32 would take its scores from there
        found[setting] = SWEEP_PAPERS / min(seconds[1:])
    return found


def _entries(item: Contestant, speeds: Mapping[str, float]) -> list[Entry]:
    """Return a contestant with its best setting, and with those that take part in any case."""
    best = max(speeds, key=lambda setting: speeds[setting])
    return [(item, setting) for setting in dict.fromkeys((best, *item.fixed))]


def _key(entry: Entry, entries: Sequence[Entry]) -> str:
    """Name an entry by its contestant; its setting stands behind it where it is not the first of its contestant."""
    item, setting = entry
    return item.name if entry == next(other for other in entries if other[0] is item) else f"{item.name}-{setting}"


def _turns(
    entries: Sequence[Entry],
    workers: Mapping[str, Worker],
    files: Sequence[Path],
    folder: Path,
    say: Callable[[str], object],
) -> tuple[dict[Entry, list[float]], dict[Entry, int]]:
    """Let every entry score every file, and return the seconds, and the most memory of each one's process."""
    seconds: dict[Entry, list[float]] = {entry: [] for entry in entries}
    memory: dict[Entry, int] = {}
    for repeat, papers in enumerate(files):
        # Another one begins each time, so that none always follows the same one.
        for entry in [*entries[repeat % len(entries) :], *entries[: repeat % len(entries)]]:
            item, setting = entry
            say(f"repeat {repeat + 1} of {len(files)}: {item.title}, {setting}")
            answer = workers[item.name].score(papers, folder / _output(entry, repeat), setting)
            seconds[entry].append(answer["wall_s"])
            memory[entry] = answer["peak_rss_bytes"]
    return seconds, memory


def _output(entry: Entry, repeat: int) -> str:
    return f"scores-{entry[0].name}-{entry[1]}-{repeat}.parquet"


def _scores(folder: Path, entry: Entry, repeats: int) -> NDArray[np.float64]:
    paths = [folder / _output(entry, repeat) for repeat in range(repeats)]
    return np.concatenate([pl.read_parquet(path)["score"].to_numpy() for path in paths]).astype(np.float64)


def _tokens(subject: Subject, papers: Path) -> int:
    limit = RECIPE.max_length if subject.name == "small" else 512
    tokenizer = PaperTokenizer((subject.checkpoint / "tokenizer.json").read_bytes(), max_length=limit)
    frame = pl.read_parquet(papers).select(normalize(pl.col("title", "abstract")))
    return sum(map(len, tokenizer.encode_batch(frame["title"].to_list(), frame["abstract"].to_list())))


def _positive(papers: Path) -> NDArray[np.bool_]:
    listed = pl.read_parquet(papers)["categories"].str.split(" ").list.contains(RECIPE.category)
    return listed.to_numpy()


def _quality(
    truth: NDArray[np.bool_],
    drawn: NDArray[np.bool_],
    scores: NDArray[np.float64],
    reference: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """Judge scores by the papers' categories, and labels by those of PyTorch (`reference`) at its best threshold.

    Papers that were scored in several repeats count as often. Labels are compared on papers that were drawn at random
    alone, since these represent a dump. All arrays have the shape (n,).
    """
    found: dict[str, Any] = {
        "papers": len(truth),
        "average_precision": precision_recall(truth, scores).average_precision,
    }
    if reference is None:
        return found
    curve = precision_recall(truth, reference)
    threshold, _ = curve.best_f1()
    return found | {
        "average_precision_loss": curve.average_precision - found["average_precision"],
        "drawn": int(drawn.sum()),
        "flips": int(np.sum(((scores >= threshold) != (reference >= threshold)) & drawn)),
        "largest_score_difference": float(np.max(np.abs(scores - reference))),
    }
