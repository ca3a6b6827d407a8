"""REPORT.md: the newest results of each benchmark, with the machine they are from."""

from pathlib import Path
from typing import Any

from bench import results

HEAD = """# What was measured

Made by `python -m bench report` from the files in `bench/results`. Figures of one section were measured in one go, in
turns; those of two sections are not to be compared."""
REPORT = Path(__file__).parent / "REPORT.md"


def write_report(folder: Path = results.FOLDER, target: Path = REPORT) -> None:
    """Write the report of all results files of a folder."""
    target.write_text(render(newest(folder)), encoding="utf-8")


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
        parts.append(f"## {name}\n\n{_circumstances(machine, section)}\n\n{_verdicts(section)}\n\n{_figures(section)}")
    return "\n\n".join(parts) + "\n"


def _circumstances(machine: dict[str, Any], section: dict[str, Any]) -> str:
    before, after = section["before"], section["after"]
    where = f"{machine['processor']} with {machine['cores']} cores ({', '.join(machine['flags'])})"
    load = f"load {before['load_1min']:.1f} before and {after['load_1min']:.1f} after"
    settings = ", ".join(f"{name} {value}" for name, value in section["settings"].items())
    commit = before["commit"] or "unknown"
    return f"{after['at'][:10]}, commit {commit}, {where}, Python {machine['python']}, {load}.\n\nSettings: {settings}."


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
