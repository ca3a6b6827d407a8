"""REPORT.md: the newest results of each benchmark, with the machine they are from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import results
from bench.throughput.page import page
from bench.throughput.tables import tables

HEAD = """# What was measured

Made by `python -m bench report` from the files in `bench/results`. Figures of one section were measured in one go, in
turns; those of two sections are not to be compared."""
REPORT = Path(__file__).parent / "REPORT.md"
PAGE = REPORT.with_suffix(".html")
RENDERERS: Mapping[str, Callable[[dict[str, Any]], str]] = {"throughput": tables}
"""How a section's figures are shown, where a list of all of them would be too long."""


def write_report(folder: Path = results.FOLDER, target: Path = REPORT) -> None:
    """Write the report of all results files of a folder."""
    target.write_text(render(newest(folder)), encoding="utf-8")


def write_page(folder: Path = results.FOLDER, target: Path = PAGE) -> bool:
    """Write the newest throughput section as a page; return whether there is one."""
    found = newest(folder).get("throughput")
    if found is None:
        return False
    target.write_text(page(*found), encoding="utf-8")
    return True


def headline(folder: Path = results.FOLDER) -> dict[str, Any]:
    """Return the most important figures, JSON values: of each section, which bounds hold, and papers/s of ro32."""
    sections = newest(folder)
    said: dict[str, Any] = {
        name: {"reached": sum(check["holds"] for check in section["checks"]), "of": len(section["checks"])}
        for name, (_, section) in sections.items()
    }
    if "throughput" in sections:
        contest = sections["throughput"][1]["figures"]["contest"]
        said |= {
            "shipped_papers_per_s": contest["small"]["ro32-shipped"]["papers_per_s"]["median"],
            "bert_base_papers_per_s": contest["base"]["ro32"]["papers_per_s"]["median"],
            "bert_base_transformers_papers_per_s": contest["base"]["transformers"]["papers_per_s"]["median"],
        }
    return said


def newest(folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return each benchmark's last section, with the machine of its file, by name."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for path in folder.glob("*.json"):
        content = results.read(path)
        for name, section in content["sections"].items():
            if name not in found or section["after"]["at"] > found[name][1]["after"]["at"]:
                found[name] = content["machine"], section
    return dict(sorted(found.items()))


def render(sections: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Compose the report, Markdown."""
    parts = [HEAD]
    for name, (machine, section) in sections.items():
        figures = RENDERERS.get(name, _figures)(section)
        parts.append(f"## {name}\n\n{_circumstances(machine, section)}\n\n{_verdicts(section)}\n\n{figures}")
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
