"""REPORT.md and REPORT.html: the newest results of each benchmark on each machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from bench import results
from bench.machine import identity
from bench.throughput import series
from bench.throughput.contestants import TITLES
from ro32.evaluation.page.render import asset, environment
from ro32.evaluation.page.render import render as render_page

TEMPLATES = Path(__file__).parent / "templates"
REPORT = Path(__file__).parent / "REPORT.md"
PAGE = REPORT.with_suffix(".html")
Measured = tuple[dict[str, Any], dict[str, Any]]  # a machine, and a section that was measured on it


def newest(folder: Path, first: Path | None = None) -> dict[str, list[Measured]]:
    """Return each benchmark's last section of each machine, by name of the benchmark.

    The newest come first, but for those of the machine that `first` is a results file of.
    """
    found: dict[str, list[Measured]] = {}
    for path in folder.glob("*.json"):
        content = results.read(path)
        for name, section in content["sections"].items():
            found.setdefault(name, []).append((content["machine"], section))
    favoured = str(identity(results.read(first)["machine"])) if first else None
    chosen = {}
    for name, measured in sorted(found.items()):
        last: dict[str, Measured] = {}
        for machine, section in sorted(measured, key=lambda item: str(item[1]["after"]["at"]), reverse=True):
            last.setdefault(str(identity(machine)), (machine, section))
        chosen[name] = [last[machine] for machine in sorted(last, key=lambda machine: machine != favoured)]
    return chosen


def headline(found: Mapping[str, list[Measured]]) -> dict[str, Any]:
    """Return the most important figures, JSON values: of each section, which bounds hold, and papers/s of ro32."""
    sections = {name: measured[0][1] for name, measured in found.items()}
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


def render(found: Mapping[str, list[Measured]]) -> str:
    """Compose the report, Markdown."""
    plain = _templates().overlay(autoescape=False, finalize=None)  # Markdown, of our own figures
    return plain.get_template("report.md").render(sections=found)


def page(machine: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """Compose the page of a throughput section: self-contained, without scripts."""
    style = asset("style.css") + Markup((TEMPLATES / "throughput.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    return render_page(_templates(), "throughput.html", style=style, machine=machine, content=section)


def _templates() -> Environment:
    found = environment(FileSystemLoader(TEMPLATES))
    found.filters.update(spread=series.spread, digits=series.digits, title_of=TITLES.__getitem__)
    found.filters.update(flat=results.flat, figure=_figure)
    found.globals |= {"series": series, "TITLES": TITLES}
    return found


def _figure(value: Any) -> str:  # noqa: ANN401 - JSON
    """Write a figure; of several repeats the median, with its quartiles behind it."""
    if isinstance(value, dict):
        return f"{value['median']:.4g} ({value['q1']:.4g} to {value['q3']:.4g})"
    if isinstance(value, list):
        return ", ".join(f"{item:.4g}" for item in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
