"""`--version`: the version, the bundle that comes with it, and its certificate."""

from importlib.metadata import version

import click

from ro32.errors import BundleError
from ro32.model.bundle import SHIPPED, shipped_folder
from ro32.model.installed import Installed, look_at
from ro32.printable import printable, short


def _show(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - Click's form of a callback
    if not value or context.resilient_parsing:
        return
    try:
        lines = _of_bundle(look_at(shipped_folder(), SHIPPED))
    except BundleError as error:  # what a version is asked for is often a broken installation
        lines = [f"bundle unusable: {error}"]
    click.echo("\n".join([f"ro32, version {version('ro32')}", *(short(printable(line)) for line in lines)]))
    context.exit()


def _of_bundle(bundle: Installed) -> list[str]:
    """Name a bundle, its digest, and the certificate of its cascade."""
    manifest = bundle.manifest
    cascade = "no certificate of a cascade: every paper is scored in full"
    if manifest.cascade is not None:
        found = manifest.cascade.certificate
        cascade = (
            f"cascade: of {found.papers:,} papers {found.screened / found.papers:.1%} need no encoder and "
            f"{found.changed} get another label; at most {found.bound:.4%} do, with {found.confidence:.0%} confidence"
        )
    label = f"{manifest.positive_label} from a score of {manifest.threshold:.4f} on"
    return [f"bundle {manifest.name}, {label}, {bundle.digest[:12]}", cascade]


version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    allow_from_autoenv=False,
    callback=_show,
    help="Show the version and the bundle that comes with it, and exit.",
)
