"""What the options of all commands are made of.

Click says of a word that it is no "float range"; the numbers here say that it is no number.
"""

from pathlib import Path

import click

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of a command's context."""
PATH = click.Path(path_type=Path)


class Number(click.FloatRange):
    """A number within bounds."""

    name = "number"


class Count(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"


threads_option = click.option(
    "--threads", metavar="N", type=Count(min=1), help="Threads that score.  [default: one per core]"
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Write nothing to stderr but errors.")
bundle_output = click.option(
    "-o", "--output", required=True, metavar="FOLDER", type=PATH, help="Bundle folder to write."
)
