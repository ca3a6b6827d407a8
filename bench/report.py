"""REPORT.md: the newest results of each benchmark on each machine."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import results
from bench.machine import SAME
from bench.throughput.page import page
from bench.throughput.tables import tables

HEAD = """# What was measured

Made by `python -m bench report` from the files in `bench/results`. Figures of one section were measured in one go, in
turns; those of two sections are not to be compared."""
REPORT = Path(__file__).parent / "REPORT.md"
PAGE = REPORT.with_suffix(".html")
Measured = tuple[dict[str, Any], dict[str, Any]]
"""A machine, and a section that was measured on it."""
RENDERERS: Mapping[str, Callable[[dict[str, Any]], str]] = {"throughput": tables}
"""How a section's figures are shown, where a list of all of them would be too long."""


def write_report(folder: Path = results.FOLDER, target: Path = REPORT, first: Path | None = None) -> None:
    """Write the report of all results files of a folder.

    Args:
        folder: Where results files are.
        target: The report.
        first: Results file of the machine that comes first; by default that of the newest results does.
    """
    target.write_text(render(newest(folder, first)), encoding="utf-8")


def write_page(folder: Path = results.FOLDER, target: Path = PAGE, first: Path | None = None) -> bool:
    """Write the throughput section of the first machine as a page; return whether there is one."""
    found = newest(folder, first).get("throughput")
    if found is None:
        return False
    target.write_text(page(*found[0]), encoding="utf-8")
    return True


def headline(folder: Path = results.FOLDER, first: Path | None = None) -> dict[str, Any]:
    """Return the most important figures, JSON values: of each section, which bounds hold, and papers/s of ro32."""
    sections = {name: found[0][1] for name, found in newest(folder, first).items()}
    said: dict[str, Any] = {
        name: {"reached": sum(check["holds"] for check in section["checks"]), "of": len(section["checks"])}
        for name, section in sections.items()
    }
    if "throughput" in sections:
        contest = sections["throughput"]["figures"]["contest"]
        said |= {
            "shipped_papers_per_s": contest["small"]["ro32-shipped"]["papers_per_s"]["median"],
            "bert_base_papers_per_s": contest["base"]["ro32"]["papers_per_s"]["median"],
            "bert_base_transformers_papers_per_s": contest["base"]["transformers"]["papers_per_s"]["median"],
        }
    return said


def newest(folder: Path, first: Path | None = None) -> dict[str, list[Measured]]:
    """Return each benchmark's last section of each machine, by name of the benchmark.

    The newest come first, but for those of the machine that `first` is a results file of.
    """
    found: dict[str, list[Measured]] = {}
    for path in folder.glob("*.json"):
        content = results.read(path)
        for name, section in content["sections"].items():
            found.setdefault(name, []).append((content["machine"], section))
    favoured = _identity(results.read(first)["machine"]) if first else None
    chosen = {}
    for name, measured in sorted(found.items()):
        last: dict[str, Measured] = {}
        for machine, section in sorted(measured, key=lambda item: str(item[1]["after"]["at"]), reverse=True):
            last.setdefault(_identity(machine), (machine, section))
        chosen[name] = [last[machine] for machine in sorted(last, key=lambda machine: machine != favoured)]
    return chosen


def _identity(machine: dict[str, Any]) -> str:
    return str([machine.get(key) for key in SAME])


def render(sections: dict[str, list[Measured]]) -> str:
    """Compose the report, Markdown."""
    parts = [HEAD]
    for name, measured in sections.items():
        for at, (machine, section) in enumerate(measured):
            title = f"{name}, on another machine" if at else name
            figures = RENDERERS.get(name, _figures)(section)
            parts.append(f"## {title}\n\n{_circumstances(machine, section)}\n\n{_verdicts(section)}\n\n{figures}")
    return "\n\n".join(parts) + "\n"


def _circumstances(machine: dict[str, Any], section: dict[str, Any]) -> str:
    before, after = section["before"], section["after"]
    where = f"{machine['processor']} with {machine['cores']} cores ({', '.join(machine['flags'])})"
    load = f"load {before['load_1min']:.1f} before and {after['load_1min']:.1f} after"
    settings = ", ".join(f"{name} {_as_text(value)}" for name, value in section["settings"].items() if value != [])
    commit = before["commit"] or "unknown"
    return f"{after['at'][:10]}, commit {commit}, {where}, Python {machine['python']}, {load}.\n\nSettings: {settings}."


def _as_text(value: object) -> str:
    return " / ".join(f"{name} {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)


def _verdicts(section: dict[str, Any]) -> str:
    lines = ["| bound | found | allowed | |", "|---|---:|---:|---|"]
    for check in section["checks"]:
        allowed = f"≥ {check['at_least']:.4g}" if "at_least" in check else f"≤ {check['at_most']:.4g}"
        lines.append(
            f"| {check['what']} | {check['found']:.4g} | {allowed} | {'holds' if check['holds'] else 'missed'} |"
        )
    return "\n".join(lines)


def _figures(section: dict[str, Any]) -> str:
    """List all figures; of a spread the median, with its quartiles behind it."""
    lines = ["| figure | value |", "|---|---:|"]
    for name, value in _flatten(section["figures"]):
        lines.append(f"| {name} | {value} |")
    return "\n".join(lines)


def _flatten(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        if isinstance(value, dict) and value.keys() == {"median", "q1", "q3"}:
            rows.append((prefix + name, f"{value['median']:.4g} ({value['q1']:.4g} to {value['q3']:.4g})"))
        elif isinstance(value, dict):
            rows += _flatten(value, f"{prefix}{name}, ")
        elif isinstance(value, list):
            rows.append((prefix + name, ", ".join(f"{item:.4g}" for item in value)))
        else:
            rows.append((prefix + name, f"{value:,}" if isinstance(value, int) else f"{value:.4g}"))
    return rows
