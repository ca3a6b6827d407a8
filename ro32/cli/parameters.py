"""Parts of the options of all commands.

Numeric options have error messages in plain words, instead of Click's "float range".
"""

import math
from pathlib import Path
from typing import Any

import click

from ro32.storage.urls import redact, scheme_of

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}
"""Settings of a command's context."""


class Place(click.Path):
    """A path or a URL, which stays text. No name is empty: as a path that would be the working folder."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as Click's own
        """Check a name."""
        if value == "":
            self.fail("expected a name, found an empty one.", param, ctx)
        if isinstance(value, str) and value[-1].isspace():
            self.fail(f"{value!r} ends in white space; correct it, or the line ends of a script.", param, ctx)
        return super().convert(value, param, ctx)


class LocalPath(Place):
    """A path. A URL would become one: without the second slash, and in the working folder."""

    name = "path"

    def __init__(self, *, readable: bool = True) -> None:
        super().__init__(path_type=Path, readable=readable)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as Click's own
        """Check a path."""
        if value == "-":
            self.fail("expected a path, found -, which is no stream here; a file of this name is ./-", param, ctx)
        if isinstance(value, str) and scheme_of(value):
            self.fail(f"expected a local path, found {redact(value)}.", param, ctx)
        return super().convert(value, param, ctx)


PATH = LocalPath()


class Number(click.FloatRange):
    """A number within bounds."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - as Click's own
        """Read a number; NaN, which passes every comparison with a bound, and infinity are none, as in JSON."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Count(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"


threads_option = click.option(
    "--threads", metavar="N", type=Count(min=1), help="Number of scoring threads.  [default: one per core]"
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Write only errors to stderr.")
bundle_output = click.option(
    "-o", "--output", required=True, metavar="FOLDER", type=PATH, help="Bundle folder to write."
)
