"""The section as tables for REPORT.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.throughput.contestants import TITLES

Row = Sequence[str]


def tables(section: Mapping[str, Any]) -> str:
    """Compose the tables, Markdown."""
    figures = section["figures"]
    parts = [
        *(_contest(name, entries) for name, entries in figures["contest"].items()),
        _threads(figures["threads"]),
        _stages(figures["stages_s"]),
        _operators(figures["operators"]),
        _lengths(figures["length_s"]),
        _without_model(figures["without_model"]),
        "Bundles: " + ", ".join(f"{name} {digest[:16]}" for name, digest in figures["bundles"].items()) + ".",
    ]
    if section["settings"]["left_out"]:
        parts.append(f"Not installed, and so left out: {', '.join(section['settings']['left_out'])}.")
    return "\n\n".join(parts)


def spread(value: Mapping[str, float], scale: float = 1.0) -> str:
    """Write a median, and the quartiles around it."""
    return f"{number(value['median'] * scale)} ({number(value['q1'] * scale)}-{number(value['q3'] * scale)})"


def number(value: float) -> str:
    """Write three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def contest_rows(entries: Mapping[str, Any]) -> list[Row]:
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
        for item in sorted(entries.values(), key=lambda item: -item["papers_per_s"]["median"])
    ]


CONTEST_HEAD = ("", "setting", "papers/s", "tokens/s", "AP", "AP lost", "other labels", "cold start, s", "memory, GB")


def _contest(name: str, entries: Mapping[str, Any]) -> str:
    return f"### {TITLES[name]}\n\n{table(CONTEST_HEAD, contest_rows(entries))}"


def _threads(figures: Mapping[str, Any]) -> str:
    rows = [
        (
            TITLES[model],
            threads,
            spread(item["papers_per_s"]),
            spread(item["useful_operations_per_s"], 1e-9),
            spread(item["peak_operations_per_s"], 1e-9),
            spread(item["share_of_peak"], 100),
        )
        for model, entries in figures.items()
        for threads, item in entries.items()
    ]
    head = ("", "threads", "papers/s", "the model's useful GOPS", "peak GOPS", "share, %")
    return f"### Threads, and the processor's peak\n\n{table(head, rows)}"


def _stages(figures: Mapping[str, Any]) -> str:
    rows = []
    for model, stages in figures.items():
        total = sum(item["median"] for item in stages.values())
        rows += [
            (TITLES[model], stage, spread(item), f"{item['median'] / total:.1%}") for stage, item in stages.items()
        ]
    return f"### Stages, seconds of each thread in a repeat\n\n{table(('', 'stage', 's', 'share'), rows)}"


def _operators(figures: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(name for shares in figures.values() for name in shares))
    rows = [(name, *(f"{shares.get(name, 0):.1%}" for shares in figures.values())) for name in names]
    shown = [row for row in rows if any(figures[model].get(row[0], 0) >= 0.01 for model in figures)]  # noqa: PLR2004 - 1 %
    head = ("operator", *(TITLES[model] for model in figures))
    return f"### Operators, share of the model's time on one thread, those of 1 % or more\n\n{table(head, shown)}"


def _lengths(figures: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(length for entries in figures.values() for length in entries))
    rows = [
        (length, *(spread(entries[length], 1e3) if length in entries else "" for entries in figures.values()))
        for length in names
    ]
    head = ("tokens", *(TITLES[model] for model in figures))
    return f"### Milliseconds of the model on one thread, by length\n\n{table(head, rows)}"


def _without_model(figures: Mapping[str, Any]) -> str:
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in figures["stages_s"].items() if seconds >= 0.01)  # noqa: PLR2004
    return (
        "### All but the model\n\n"
        f"If the model cost nothing, one core would do {spread(figures['papers_per_s'])} papers/s by the clock, "
        f"{spread(figures['papers_per_processor_s'])} by its own time. Seconds: {stages}; reading and waiting overlap."
    )


def table(head: Row, rows: Iterable[Row]) -> str:
    """Compose a table; its first column is of words."""
    lines = [f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
