"""`--version`: the version, the bundle that comes with it, and its certificate."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import click

from ro32.errors import BundleError
from ro32.model.bundle import SHIPPED, shipped_folder
from ro32.model.installed import Installed, look_at
from ro32.printable import printable, short


def version_text() -> str:
    """Name the version, the shipped bundle by name and digest, and the certificate of its cascade."""
    try:
        lines = _of_bundle(look_at(shipped_folder(), SHIPPED))
    except BundleError as error:  # what a version is asked for is often a broken installation
        lines = [f"bundle unusable: {error}"]
    return "\n".join([f"ro32, version {version('ro32')}", *(short(printable(line)) for line in lines)])


def _of_bundle(bundle: Installed) -> list[str]:
    manifest = bundle.manifest
    name = (
        f"bundle {manifest.name}, {manifest.positive_label} from a score of {manifest.threshold:.4f} on, "
        f"{bundle.digest[:12]}"
    )
    if manifest.cascade is None:
        return [name, "no certificate of a cascade: every paper is scored in full"]
    found = manifest.cascade.certificate
    return [
        name,
        (
            f"cascade: of {found.papers:,} papers {found.screened / found.papers:.1%} need no encoder and "
            f"{found.changed} get another label; at most {found.bound:.4%} do, with {found.confidence:.0%} confidence"
        ),
    ]


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
