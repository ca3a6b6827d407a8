"""ro32 and its peers on one subject: the same papers, Parquet to Parquet, in turns, in processes that stay loaded."""

import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.measure import Say, quartiles
from bench.throughput import peers
from bench.throughput.contestants import OURS, PEERS, SHIPPED, Contestant
from bench.throughput.subjects import LONGEST, RECIPE, Subject, halves
from bench.throughput.worker import Worker
from ro32.model.bundle import shipped_folder
from ro32.model.metrics import precision_recall
from ro32.model.text import PaperTokenizer, normalize

SWEEP_PAPERS = 32
WARM_UP_PAPERS = 4
SEED = 3

Entry = tuple[Contestant, str]  # a contestant with one of its settings


def contest(subject: Subject, *, papers: int, repeats: int, sweeps: int, say: Say) -> dict[str, dict[str, Any]]:
    """Let all that are installed score the same papers, other ones in each repeat, and return the figures of each.

    Each setting of a contestant is tried `sweeps` times to find its best.
    """
    ours = (OURS, SHIPPED) if subject.name == "small" else (OURS,)
    contestants = [item for item in (*ours, *PEERS) if item.installed]
    learn, measure = halves(subject.folder.parent)
    for item in contestants:
        _prepare(item, subject, learn, say)
    folders = {OURS: subject.bundle, SHIPPED: shipped_folder()}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        files = draw(pl.read_parquet(measure), folder, papers=papers, repeats=repeats)
        first, warm_up, sweep = (folder / f"{name}.parquet" for name in ("first", "warm-up", "sweep"))
        for path, count in ((first, 1), (warm_up, WARM_UP_PAPERS), (sweep, SWEEP_PAPERS)):
            pl.read_parquet(files[0]).head(count).write_parquet(path)
        workers = {}
        for item in contestants:
            say(f"{subject.name}: loading {item.title}")
            worker = Worker(item.name, folders.get(item, subject.folder), first, item.settings[0])
            workers[item.name] = stack.enter_context(worker)
        entries: dict[str, Entry] = {}
        speeds = {}
        for item in contestants:
            speeds[item.name] = _sweep(item, workers[item.name], [warm_up, *[sweep] * sweeps], say)
            best = max(speeds[item.name], key=speeds[item.name].__getitem__)
            entries[item.name] = (item, best)
            entries |= {f"{item.name}-{setting}": (item, setting) for setting in item.fixed if setting != best}
        answers = _turns(entries, workers, files, say)
        scores = {
            key: pl.concat([pl.read_parquet(_output(path, key))["score"] for path in files]).cast(pl.Float64).to_numpy()
            for key in entries
        }
        tokens = [_tokens(subject, path) for path in files]
        drawn_from = pl.concat([pl.read_parquet(path) for path in files])
    truth = drawn_from["categories"].str.split(" ").list.contains(RECIPE.category).to_numpy()
    drawn = ~drawn_from["oversampled"].to_numpy()
    seconds = {key: [answer["wall_s"] for answer in given] for key, given in answers.items()}
    return {
        key: {
            "title": item.title,
            "setting": setting,
            "papers_per_s": quartiles([papers / each for each in seconds[key]]),
            "tokens_per_s": quartiles([count / each for count, each in zip(tokens, seconds[key], strict=True)]),
            "cold_start_s": workers[item.name].cold_start_s,
            "peak_rss_bytes": answers[key][-1]["peak_rss_bytes"],
            "sweep_papers_per_s": speeds[item.name],
            **_quality(truth, drawn, scores[key], None if item is SHIPPED else scores["transformers"]),
        }
        for key, (item, setting) in entries.items()
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


def _prepare(item: Contestant, subject: Subject, learn: Path, say: Say) -> None:
    """Make a contestant's files from the checkpoint, if it has any and they are not there."""
    prepare = getattr(peers, f"prepare_{item.name.replace('-', '_')}", None)
    complete = subject.folder / item.name / ".complete"
    if prepare is not None and not complete.exists():
        say(f"{subject.name}: making {item.title}")
        prepare(subject.folder, learn)
        complete.touch()


def _sweep(item: Contestant, worker: Worker, trials: Sequence[Path], say: Say) -> dict[str, float]:
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


def _turns(
    entries: Mapping[str, Entry], workers: Mapping[str, Worker], files: Sequence[Path], say: Say
) -> dict[str, list[dict[str, Any]]]:
    """Let every entry score every file, and return the answers of their workers."""
    answers: dict[str, list[dict[str, Any]]] = {key: [] for key in entries}
    for repeat, papers in enumerate(files):
        keys = deque(entries)
        keys.rotate(-repeat)  # another one begins each time, so that none always follows the same one
        for key in keys:
            item, setting = entries[key]
            say(f"repeat {repeat + 1} of {len(files)}: {item.title}, {setting}")
            answers[key].append(workers[item.name].score(papers, _output(papers, key), setting))
    return answers


def _output(papers: Path, key: str) -> Path:
    return papers.with_name(f"scores-{key}-{papers.name}")


def _tokens(subject: Subject, papers: Path) -> int:
    limit = RECIPE.max_length if subject.name == "small" else LONGEST
    tokenizer = PaperTokenizer((subject.checkpoint / "tokenizer.json").read_bytes(), max_length=limit)
    frame = pl.read_parquet(papers).select(normalize(pl.col("title", "abstract")))
    return sum(map(len, tokenizer.encode_batch(frame["title"].to_list(), frame["abstract"].to_list())))


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
    precision = precision_recall(truth, scores).average_precision
    found: dict[str, Any] = {"papers": len(truth), "average_precision": precision}
    if reference is None:
        return found
    curve = precision_recall(truth, reference)
    threshold, _ = curve.best_f1()
    return found | {
        "average_precision_loss": curve.average_precision - precision,
        "drawn": int(drawn.sum()),
        "flips": int(np.sum(((scores >= threshold) != (reference >= threshold)) & drawn)),
        "largest_score_difference": float(np.max(np.abs(scores - reference))),
    }
