"""`--version`: which ro32 this is, and which model comes with it."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import click

from ro32.bundle import SHIPPED, shipped_folder
from ro32.errors import BundleError
from ro32.store import look_at


def version_text() -> str:
    """Name the version, and the shipped bundle by name and digest."""
    try:
        shipped = look_at(shipped_folder(), SHIPPED)
        bundle = f"{shipped.manifest.name} for {shipped.manifest.positive_label}, {shipped.digest[:12]}"
    except BundleError as error:
        bundle = f"unusable: {error}"
    return f"ro32, version {version('ro32')}\nbundle {bundle}"


def _show(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - Click's form of a callback
    if value and not context.resilient_parsing:
        click.echo(version_text())
        context.exit()


def version_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the option --version."""
    return click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        allow_from_autoenv=False,
        callback=_show,
        help="Show the version and the bundle that comes with it, and exit.",
    )
