"""Renders the page: one HTML file that needs no network."""

import base64
import hashlib
import math
from importlib.resources import files

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ro32.evaluation.explain import WORD, Explanation, WordEffect
from ro32.evaluation.intervals import LEVEL, RESAMPLES
from ro32.evaluation.one_model import CONFIDENT
from ro32.evaluation.page import drawing, figures
from ro32.evaluation.results import Results
from ro32.evaluation.slices import Dimension
from ro32.evaluation.table import MEASURED, MEASURES, threshold_text

COLOURS = 6  # models that the style sheet has colours for; a seventh gets the first one's again


def page(results: Results) -> str:
    """Return the page of an evaluation."""
    return render(
        environment(),
        "page.html",
        style=asset("style.css"),
        script=asset("script.js"),
        results=results,
        models=list(enumerate(results.evaluations)),
        groups={dimension: figures.f1_by(results.evaluations, dimension) for dimension in Dimension},
    )


def environment(*loaders: BaseLoader) -> Environment:
    """Return the environment of the templates and of further loaders; it escapes all but the templates' own markup."""
    made = Environment(
        loader=ChoiceLoader([*loaders, PackageLoader("ro32.evaluation.page")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    made.filters.update(
        number=number, threshold=threshold_text, colour=lambda model: f"m{model % COLOURS}", marked=marked, side=_side
    )
    made.globals.update(drawing=drawing, figures=figures, MEASURES=MEASURES, MEASURED=MEASURED)
    made.globals.update(LEVEL=LEVEL, RESAMPLES=RESAMPLES, CONFIDENT=CONFIDENT)
    return made


def render(templates: Environment, name: str, *, style: Markup, script: Markup | None = None, **content: object) -> str:
    """Render a page in which this style sheet and this script alone can act.

    The page's policy names their digests and allows nothing else, so even a text that were markup by a fault of ours
    could not run and could not fetch.
    """
    allowed = f"style-src '{_digest(style)}'" + ("" if script is None else f"; script-src '{_digest(script)}'")
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    return templates.get_template(name).render(style=style, script=script, policy=policy, **content)


def asset(name: str) -> Markup:
    """Read a style sheet or script of this package."""
    return Markup((files("ro32.evaluation.page") / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704 - ours


def number(value: float, spec: str, unknown: str = "") -> str:
    """Write a number, with a minus sign that is as wide as a plus sign, or what stands for NaN."""
    return unknown if unknown and math.isnan(value) else format(value, spec).replace("-", "\N{MINUS SIGN}")


def marked(text: str, explanation: Explanation | None) -> Markup:
    """Mark in a text the words that moved the score most; all of it is plain where there is no explanation."""
    sides = {} if explanation is None else {effect.word: _side(effect) for effect in explanation.strongest}
    parts, at = Markup(), 0
    for match in WORD.finditer(text):
        if side := sides.get(match[0].lower()):
            parts += text[at : match.start()] + Markup('<mark class="{}">{}</mark>').format(side, match[0])
            at = match.end()
    return parts + text[at:]


def _side(effect: WordEffect) -> str:
    """Return whether a word raised the score or lowered it; one that is all there is to score raised it."""
    return "down" if effect.log_odds < 0 else "up"


def _digest(text: str) -> str:
    """Return a text's digest as policies write it. Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
