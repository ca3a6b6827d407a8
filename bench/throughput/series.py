"""Prepares the figures of the section for charts and tables."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.throughput.contestants import TITLES

Quartiles = Mapping[str, float]  # median, q1 and q3 of what was measured several times
Bar = tuple[str, Quartiles, int]  # a name, its figure, and which colour
Line = tuple[str, Sequence[tuple[float, Quartiles]]]  # a name, and points by rising x
CONTEST_HEAD = ("", "setting", "papers/s", "tokens/s", "AP", "AP lost", "other labels", "cold start, s", "memory, GB")
_TICKS = 5
_STEPS = (1, 2, 2.5, 5, 10)
_PARTS = 5


def spread(value: Quartiles, scale: float = 1.0) -> str:
    """Write a median, and the quartiles around it."""
    return f"{digits(value['median'] * scale)} ({digits(value['q1'] * scale)}-{digits(value['q3'] * scale)})"


def digits(value: float) -> str:
    """Write three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def contest_rows(entries: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row for each entry of a contest, the fastest first."""
    return [
        (
            item["title"],
            item["setting"],
            spread(item["papers_per_s"]),
            spread(item["tokens_per_s"]),
            f"{item['average_precision']:.4f}",
            f"{item['average_precision_loss']:+.4f}" if "average_precision_loss" in item else "",
            f"{item['flips']} of {item['drawn']:,}" if "flips" in item else "",
            f"{item['cold_start_s']['total']:.1f}",
            f"{item['peak_rss_bytes'] / 1e9:.2f}",
        )
        for item in _fastest_first(entries)
    ]


def contest_bars(entries: Mapping[str, Any]) -> dict[str, list[Bar]]:
    """Return bars of papers/s, of memory in GB, of seconds until the first score, and of average precision."""
    ordered = list(enumerate(_fastest_first(entries)))
    names = [item["title"] + ("" if item["setting"] == "1" else f" ({item['setting']})") for _, item in ordered]
    return {
        "speed": [(names[at], item["papers_per_s"], at) for at, item in ordered],
        "memory": [(names[at], _exactly(item["peak_rss_bytes"] / 1e9), at) for at, item in ordered],
        "start": [(names[at], _exactly(item["cold_start_s"]["total"]), at) for at, item in ordered],
        "quality": [(names[at], _exactly(item["average_precision"]), at) for at, item in ordered],
    }


def peak_bars(threads: Mapping[str, Any]) -> list[Bar]:
    """Return bars for useful and for possible int8 operations, 1e9 a second, by model and number of threads."""
    return [
        (
            f"{TITLES[model]}, {count} thread{'s' if count != '1' else ''}: {what}",
            {name: value / 1e9 for name, value in item[key].items()},
            2 * at + peak,
        )
        for at, (model, entries) in enumerate(threads.items())
        for count, item in entries.items()
        for peak, (what, key) in enumerate(
            (("useful operations", "useful_operations_per_s"), ("peak", "peak_operations_per_s"))
        )
    ]


def thread_lines(threads: Mapping[str, Any]) -> list[Line]:
    """Return papers/s by number of threads, a line for each model."""
    return [
        (TITLES[model], [(float(count), item["papers_per_s"]) for count, item in entries.items()])
        for model, entries in threads.items()
    ]


def length_lines(lengths: Mapping[str, Any]) -> list[Line]:
    """Return milliseconds by number of tokens, a line for each model."""
    return [
        (
            TITLES[model],
            [(float(tokens), {name: 1e3 * value for name, value in item.items()}) for tokens, item in entries.items()],
        )
        for model, entries in lengths.items()
    ]


def operator_rows(operators: Mapping[str, Mapping[str, float]]) -> list[Sequence[str]]:
    """Return a row for each operator that takes 1 % of a model's time or more, a column for each model."""
    names = dict.fromkeys(name for shares in operators.values() for name in shares)
    return [
        (name, *(f"{shares.get(name, 0):.1%}" for shares in operators.values()))
        for name in names
        if any(shares.get(name, 0) >= 0.01 for shares in operators.values())  # noqa: PLR2004 - 1 %
    ]


def length_rows(lengths: Mapping[str, Mapping[str, Quartiles]]) -> list[Sequence[str]]:
    """Return milliseconds in a row for each number of tokens, a column for each model."""
    names = dict.fromkeys(tokens for entries in lengths.values() for tokens in entries)
    return [
        (name, *(spread(entries[name], 1e3) if name in entries else "" for entries in lengths.values()))
        for name in names
    ]


def stage_shares(stages: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return each stage's share of the time, by model."""
    totals = {model: sum(part["median"] for part in parts.values()) for model, parts in stages.items()}
    return {
        model: {name: part["median"] / totals[model] for name, part in parts.items()} for model, parts in stages.items()
    }


def largest(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the largest parts of a whole, the rest as one, and of these what is not nothing."""
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    shown = [*ordered[:_PARTS], ("all others", sum(share for _, share in ordered[_PARTS:]))]
    return [(name, share) for name, share in shown if share > 0]


def ticks(most: float) -> list[tuple[float, str]]:
    """Choose round ticks from 0 to a bit below the most."""
    rough = most / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _STEPS if factor * power >= rough)
    return [(index * step, f"{index * step:g}") for index in range(int(most / step) + 1)]


def quarters(low: float, high: float) -> list[tuple[float, str]]:
    """Return five even ticks from one average precision to another."""
    return [(tick, f"{tick:.4f}") for tick in (low + step * (high - low) / 4 for step in range(5))]


def _fastest_first(entries: Mapping[str, Any]) -> list[dict[str, Any]]:
    return sorted(entries.values(), key=lambda item: -item["papers_per_s"]["median"])


def _exactly(value: float) -> Quartiles:
    return dict.fromkeys(("median", "q1", "q3"), value)
