"""What pages show that a reader would run: lines for a shell, wherever they stand, and blocks of Python."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.commands import ROOT, SCRIPTS
from tests.docs.tables import DOCS

PAGES: dict[str, Path] = {
    **{name: ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")},
    **{path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))},
}
"""Every page, by what it is called below docs/ or in the root."""

_PROGRAM = rf"(?:\S*/)?(?:{'|'.join(SCRIPTS)}|python3?|pip|make|docker|man|ray|mkdir)"
_VARIABLES = r"(?:[A-Z_][A-Z_0-9]*=\S+ )*"
_BEFORE = r"(?:\w*\$ +|ExecStart=|entrypoint: |(?:[\d*/]+ ){5} *)?"
"""A prompt, or what stands before a command in a unit, a manifest of Kubernetes or a crontab."""
_COMMAND = re.compile(rf"{_BEFORE}({_VARIABLES}{_PROGRAM} .*)")
_PROMPT = re.compile(r"\w*\$ +(.*)")
_SYNOPSIS = re.compile(r"\[OPTIONS\]|\[ARGS\]")
"""A command's form as a help text has it: nothing to run."""


@dataclass(frozen=True)
class Shown:
    """Something to run.

    Attributes:
        page: Where it stands, a key of PAGES.
        text: A line for a shell, its continuations joined, or a block of Python.
        python: Whether it is the latter.
    """

    page: str
    text: str
    python: bool = False


def shown(page: str) -> list[Shown]:
    """Return what a page shows, in its order. Sessions of Python (`pycon`) are left to doctest."""
    found: list[Shown] = []
    for language, block in _blocks(PAGES[page].read_text(encoding="utf-8")):
        if language == "python":
            found.append(Shown(page, block, python=True))
        elif language != "pycon":
            pattern = _PROMPT if language == "console" else _COMMAND
            lines = re.sub(r" *\\\n\s*", " ", block).splitlines()
            texts = [match[1] for line in lines if (match := pattern.fullmatch(line.strip()))]
            found += [Shown(page, text) for text in texts if not _SYNOPSIS.search(text)]
    return found


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the blocks of code of a page, each with its language; of those that are indented, "text"."""
    rest = re.compile(r"^```(\w*)\n(.*?)^```$|(?:^ {4}[^\n]*\n)+", re.MULTILINE | re.DOTALL)
    for match in rest.finditer(text):
        yield (match[1] or "text", match[2]) if match[2] is not None else ("text", match[0])
