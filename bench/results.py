"""The results file: what was measured on one machine on one day, JSON, one section for each benchmark.

    format      1; a reader refuses another
    machine     processor, cores, flags, memory_bytes, system, python, versions
    sections    by benchmark: before and after (at, load_1min, commit), settings, figures, checks

Figures carry their unit in their name. A section is measured in one go; figures of two sections are not compared. What
was measured several times is an object of median, q1 and q3. The figures of the section `throughput`:

    contest        by subject ("small", "base") and contestant: title, setting (batch size), papers_per_s, tokens_per_s,
                   cold_start_s, peak_rss_bytes, sweep_papers_per_s by setting, papers, average_precision; against fp32
                   PyTorch average_precision_loss, largest_score_difference, and flips of `drawn` papers' labels
    bundles        by model ("shipped", "base"), the bundle's digest
    shipped_export what the shipped bundle's manifest says of int8 against fp32
    threads        by model and number of threads: papers_per_s, tokens_per_s, peak_operations_per_s,
                   useful_operations_per_s, share_of_peak
    stages_s       by model, seconds of each thread in a repeat
    without_model  papers_per_s of one core if the model cost nothing, by the clock and by its own time; stages_s
    operators      by model and operator, share of the model's time
    length_s       by model and number of tokens, seconds of one thread
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench import machine

FORMAT = 1
FOLDER = Path(__file__).parent / "results"

Check = dict[str, Any]  # a figure and its bound: what, found, at_least or at_most, holds


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one benchmark found, as JSON values: what it was run with, what was measured, what had to be reached."""

    settings: dict[str, Any]
    figures: dict[str, Any]
    checks: list[Check]


def at_least(what: str, found: float, bound: float) -> Check:
    """Check a figure of which more is better."""
    return {"what": what, "found": found, "at_least": bound, "holds": found >= bound}


def at_most(what: str, found: float, bound: float) -> Check:
    """Check a figure of which less is better."""
    return {"what": what, "found": found, "at_most": bound, "holds": found <= bound}


def record(name: str, measure: Callable[[], Section], folder: Path = FOLDER) -> tuple[Path, Section]:
    """Measure a section and put it into the file of this machine and day, beside the sections that are there."""
    before = machine.moment()
    section = measure()
    after = machine.moment()
    folder.mkdir(parents=True, exist_ok=True)
    facts = machine.describe()
    path = _file(folder, f"{machine.slug()}-{after['at'][:10]}", facts)
    content: dict[str, Any] = read(path) if path.exists() else {"format": FORMAT, "sections": {}}
    content["machine"] = facts
    content["sections"][name] = {"before": before, "after": after, **asdict(section)}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path, section


def _file(folder: Path, name: str, facts: dict[str, Any]) -> Path:
    """Return this machine's file of a day: another machine of the same name has another one."""
    paths = (folder / (f"{name}.json" if number == 1 else f"{name}-{number}.json") for number in count(1))
    own = machine.identity(facts)
    return next(path for path in paths if not path.exists() or machine.identity(read(path)["machine"]) == own)


def read(path: Path) -> dict[str, Any]:
    """Read a results file.

    Raises:
        ValueError: It is of another format.
    """
    content: dict[str, Any] = json.loads(path.read_text())
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected format {FORMAT}, found {content.get('format')}")
    return content


def flat(figures: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each figure behind the names that lead to it; the quartiles of a figure stay together."""
    for name, value in figures.items():
        if isinstance(value, dict) and value.keys() != {"median", "q1", "q3"}:
            yield from flat(value, (*path, name))
        else:
            yield (*path, name), value
