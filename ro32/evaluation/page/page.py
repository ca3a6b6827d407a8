"""The page that `ro32-eval --html` writes: one file that shows itself without a network, in any browser of today."""

import base64
import hashlib
from importlib.resources import files

from ro32.evaluation.page import groups, overview, papers, thresholds
from ro32.evaluation.page.markup import Markup, element
from ro32.evaluation.results import Results


def page(results: Results) -> str:
    """Return the page.

    Only this package's own style sheet and script can act in it: the page's policy names their digests and allows
    nothing else, so even a text that were markup by a fault of ours could not run and could not fetch.
    """
    style, script = (_own(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"{results.category}: ro32 evaluation"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=f"ro32 {results.tool_version}"),
        element("title", title),
        element("style", style),
    )
    body = element(
        "body",
        element("a", "Skip to the figures", href="#figures", class_="skip"),
        overview.header(results),
        overview.model_switch(results),
        element(
            "main",
            overview.figures(results),
            thresholds.thresholds(results),
            thresholds.calibration(results),
            groups.groups(results),
            papers.flips(results),
            papers.disagreements(results),
            overview.notes(results),
        ),
        overview.footer(results),
        thresholds.data(results),
        element("script", script),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _own(name: str) -> Markup:
    return Markup((files("ro32.evaluation.page") / name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    """Return a text's digest as policies write it. Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
