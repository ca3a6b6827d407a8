"""The section as one page for the browser: self-contained, without scripts."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.throughput.charts import bars_chart, front_chart, lines_chart, shares_chart
from bench.throughput.contestants import TITLES
from bench.throughput.tables import CONTEST_HEAD, contest_rows, spread
from ro32.evaluation.page.frame import colour
from ro32.evaluation.page.markup import Markup, element
from ro32.evaluation.page.parts import figure, pair, section, table


def page(machine: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        machine: That of the results file.
        content: The section.
    """
    style = (files("ro32.evaluation.page") / "style.css").read_text(encoding="utf-8")
    style += Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", "ro32: throughput"),
        element("style", Markup(style)),
    )
    figures = content["figures"]
    body = element(
        "body",
        _header(machine, content),
        element(
            "main",
            _bounds(content),
            *(_contest(name, entries) for name, entries in figures["contest"].items()),
            _anatomy(figures),
            _lengths(figures),
        ),
        _footer(machine, content),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(machine: Mapping[str, Any], content: Mapping[str, Any]) -> Markup:
    contest = content["figures"]["contest"]
    ours, shipped = contest["base"]["ro32"], contest["small"]["ro32-shipped"]
    return element(
        "header",
        element("p", "ro32 throughput", class_="kicker"),
        element("h1", "How fast does it score, and what bounds it?"),
        element(
            "p",
            f"{machine['processor']} with {machine['cores']} cores ({', '.join(machine['flags'])}), "
            f"{content['after']['at'][:10]}. From Parquet to Parquet, in turns, on real papers; medians of "
            f"{content['settings']['repeats']} repeats and the quartiles around them.",
            class_="lead",
        ),
        element(
            "p",
            f"The model that ships labels {spread(shipped['papers_per_s'])} papers a second, "
            f"one of BERT-base's size {spread(ours['papers_per_s'])}.",
            class_="verdict",
        ),
    )


def _bounds(content: Mapping[str, Any]) -> Markup:
    rows = [
        (
            check["what"],
            f"{check['found']:.4g}",
            f"at least {check['at_least']:.4g}" if "at_least" in check else f"at most {check['at_most']:.4g}",
            "reached" if check["holds"] else element("b", "missed"),
        )
        for check in content["checks"]
    ]
    return section("bounds", "What was to be reached", table("", ("", "found", "wanted", ""), rows))


def _contest(name: str, entries: Mapping[str, Any]) -> Markup:
    ordered = sorted(entries.items(), key=lambda item: -item[1]["papers_per_s"]["median"])
    colours = {key: index for index, (key, _) in enumerate(ordered)}
    titles = {
        key: item["title"] if item["setting"] == "1" else f"{item['title']} ({item['setting']})"
        for key, item in ordered
    }
    speeds = [(titles[key], item["papers_per_s"], colours[key]) for key, item in ordered]
    memory = [
        (titles[key], dict.fromkeys(("median", "q1", "q3"), item["peak_rss_bytes"] / 1e9), colours[key])
        for key, item in ordered
    ]
    starts = [
        (titles[key], dict.fromkeys(("median", "q1", "q3"), item["cold_start_s"]["total"]), colours[key])
        for key, item in ordered
    ]
    comparable = [(titles[key], item["papers_per_s"]["median"], item["average_precision"]) for key, item in ordered]
    return section(
        f"contest-{name}",
        TITLES[name],
        pair(
            element("div", element("h3", "Speed"), figure(bars_chart(f"speed-{name}", "Speed", "papers/s", speeds))),
            element(
                "div",
                element("h3", "Quality against speed"),
                figure(front_chart(f"front-{name}", comparable)),
                _legend([titles[key] for key, _ in ordered]),
            ),
        ),
        pair(
            element("div", element("h3", "Memory"), figure(bars_chart(f"memory-{name}", "Peak memory", "GB", memory))),
            element(
                "div",
                element("h3", "Until the first paper is scored"),
                figure(bars_chart(f"start-{name}", "Cold start", "s", starts)),
            ),
        ),
        table("The setting is the batch size, but for OpenVINO's own interface", CONTEST_HEAD, contest_rows(entries)),
    )


def _legend(titles: list[str]) -> Markup:
    items = (element("li", title, class_=f"swatch {colour(index)}") for index, title in enumerate(titles))
    return element("ul", *items, class_="legend")


def _anatomy(figures: Mapping[str, Any]) -> Markup:
    bars = []
    for index, (model, entries) in enumerate(figures["threads"].items()):
        for threads, item in entries.items():
            for what, key in (("useful operations", "useful_operations_per_s"), ("peak", "peak_operations_per_s")):
                value = {name: quartile / 1e9 for name, quartile in item[key].items()}
                label = f"{TITLES[model]}, {threads} thread{'s' if threads != '1' else ''}: {what}"
                bars.append((label, value, 2 * index + (what == "peak")))
    threads = [
        (TITLES[model], [(float(count), item["papers_per_s"]) for count, item in entries.items()])
        for model, entries in figures["threads"].items()
    ]
    stages = []
    for model, parts in figures["stages_s"].items():
        total = sum(item["median"] for item in parts.values())
        stages.append((TITLES[model], {stage: item["median"] / total for stage, item in parts.items()}))
    operators = [(TITLES[model], shares) for model, shares in figures["operators"].items()]
    return section(
        "anatomy",
        "Where the time goes",
        pair(
            element(
                "div",
                element("h3", "The processor's peak, and what is used of it"),
                figure(bars_chart("roofline", "Int8 operations", "GOPS", bars)),
            ),
            element(
                "div",
                element("h3", "Threads"),
                _legend([label for label, _ in threads]),
                figure(lines_chart("threads", "Papers/s by threads", ("threads", "papers/s"), threads)),
            ),
        ),
        pair(
            element("div", element("h3", "Stages"), figure(shares_chart("stages", "Stages", stages))),
            element("div", element("h3", "Operators"), figure(shares_chart("operators", "Operators", operators))),
        ),
        element(
            "p",
            f"If the model cost nothing, one core would do {spread(figures['without_model']['papers_per_s'])} "
            "papers/s.",
        ),
    )


def _lengths(figures: Mapping[str, Any]) -> Markup:
    series = [
        (
            TITLES[model],
            [
                (float(length), {name: 1e3 * seconds for name, seconds in value.items()})
                for length, value in entries.items()
            ],
        )
        for model, entries in figures["length_s"].items()
    ]
    return section(
        "lengths",
        "What a paper costs by its length",
        _legend([label for label, _ in series]),
        figure(lines_chart("by-length", "Milliseconds by tokens, one thread", ("tokens", "ms"), series)),
    )


def _footer(machine: Mapping[str, Any], content: Mapping[str, Any]) -> Markup:
    before, after = content["before"], content["after"]
    versions = {**machine["versions"], **content["settings"]["peers"]}
    load = f"load {before['load_1min']:.1f} before and {after['load_1min']:.1f} after"
    lines = (
        f"commit {before['commit']}, Python {machine['python']}, {machine['system']}; {load}",
        ", ".join(f"{name} {number}" for name, number in versions.items()),
        ", ".join(f"bundle {name}: {digest}" for name, digest in content["figures"]["bundles"].items()),
    )
    return element("footer", *(element("p", line) for line in lines))
