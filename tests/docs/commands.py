"""The commands of the package, as its installation makes them, and the width that their help is laid out for."""

import copy
import tomllib
from importlib import import_module
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
"""Module and function of each command, by its name."""
HELP_WIDTH = 100
"""Columns that help texts are laid out for: as many as a code block on a project's page shows without scrolling."""


def command_named(name: str) -> click.Command:
    """Return a command by the name of its program."""
    command: click.Command = import_module(SCRIPTS[name].partition(":")[0]).command
    return command


def context_of(command: click.Command, name: str) -> click.Context:
    """Return the context in which a command's help is laid out, that of a copy.

    Click keeps the option --help that it made first, and other tests make it in other contexts.
    """
    fresh = copy.copy(command)
    fresh._help_option = None
    return click.Context(fresh, info_name=name, **{**command.context_settings, "terminal_width": HELP_WIDTH})
