"""Finds figures that became slower between two results files of one machine."""

from collections.abc import Iterator, Mapping
from typing import Any

from bench.machine import identity
from bench.results import flat

RELATIVE = ("ratio", "share_of_peak")
RATES = ("papers_per_s", "papers_per_processor_s", *RELATIVE)  # figures of which more is better; of all others, less is
PASSED_OVER = ("peak_operations_per_s", "useful_operations_per_s", "tokens_per_s")
"""Of the machine, or said by another figure too."""
LEAST_CHANGE = 0.05  # as much as the median of five repeats moves between two quiet runs

Names = tuple[str, ...]


def slower(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return a line for each figure that got worse by more than the spread of both runs and than the machine did.

    A figure is compared where both files have it, measured with the same settings. The processor's peak,
    measured in turns with everything else, shows how fast the machine was; where it fell, figures may fall as much.

    Raises:
        ValueError: The files are of two machines, or have no figure in common.
    """
    ours, theirs = identity(before["machine"]), identity(after["machine"])
    if ours != theirs:
        differing = ", ".join(f"{name} {ours[name]} and {theirs[name]}" for name in ours if ours[name] != theirs[name])
        raise ValueError(f"results of two machines are not to be compared: {differing}")
    lines: list[str] = []
    compared = 0
    for name, section in before["sections"].items():
        other = after["sections"].get(name)
        if other is None or other["settings"] != section["settings"]:
            continue
        machine = _peak(other["figures"]) / _peak(section["figures"])
        old, new = _repeated(section["figures"]), _repeated(other["figures"])
        shared = [path for path in old if path in new]
        compared += len(shared)
        for path in shared:
            lines += _verdict((name, *path), old[path], new[path], machine)
    if not compared:
        raise ValueError("no section of one name and the same settings is in both files")
    return lines


def _verdict(path: Names, old: Mapping[str, float], new: Mapping[str, float], machine: float) -> Iterator[str]:
    """Yield a line if the figure got worse. What is compared are times: of a rate, what it takes for one."""
    (_, before, latest), (earliest, after, _) = (_as_times(value, rate=path[-1] in RATES) for value in (old, new))
    # Shares and ratios were divided by what the machine can do already.
    excused = 1.0 if path[-1] in RELATIVE else max(1 / machine, 1.0)
    if earliest > latest * excused and after > before * excused * (1 + LEAST_CHANGE):
        text = f"{', '.join(path)}: {old['median']:.4g} ({old['q1']:.4g} to {old['q3']:.4g}) became "
        yield f"{text}{new['median']:.4g} ({new['q1']:.4g} to {new['q3']:.4g}), {after / before - 1:.0%} slower"


def _as_times(value: Mapping[str, float], *, rate: bool) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile of the times."""
    if rate:
        return 1 / value["q3"], 1 / value["median"], 1 / value["q1"]
    return value["q1"], value["median"], value["q3"]


def _peak(figures: Mapping[str, Any]) -> float:
    """Return the processor's peak where it was measured; 1 where it was not."""
    peaks = [value["median"] for path, value in flat(figures) if path[-1] == "peak_operations_per_s"]
    return sum(peaks) / len(peaks) if peaks else 1.0


def _repeated(figures: Mapping[str, Any]) -> dict[Names, dict[str, float]]:
    """Return the figures of ro32 that were measured several times; its peers' are left out."""
    return {
        path: value
        for path, value in flat(figures)
        if isinstance(value, dict)
        if path[0] != "trainer" and not (path[0] == "contest" and not path[2].startswith("ro32"))
        if path[-1] not in PASSED_OVER
    }
