"""`ro32-score --version`: which version this is, and what the model that comes with it is certified for."""

from collections.abc import Iterator
from importlib.metadata import version

import click

from ro32.bundle import Bundle, Manifest
from ro32.errors import BundleError


def show_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - Click calls it so
    """Print the version and leave. A Click callback."""
    if not asked or context.resilient_parsing:
        return
    click.echo(f"ro32, version {version('ro32')}")
    try:
        lines = list(_of_model(Bundle.shipped().manifest))
    except BundleError as error:  # what a version is asked for is often a broken installation
        lines = [f"model: {error}"]
    for line in lines:
        click.echo(line)
    context.exit()


def _of_model(manifest: Manifest) -> Iterator[str]:
    yield f"model {manifest.name}, {manifest.positive_label} from a score of {manifest.threshold:.4f} on"
    if manifest.cascade is None:
        yield "no certificate of a cascade: every paper is scored in full"
        return
    told = manifest.cascade.certificate
    yield (
        f"cascade: of {told.papers:,} papers {told.screened / told.papers:.1%} need no encoder and {told.changed} get "
        f"another label; at most {told.bound:.4%} do, with {told.confidence:.0%} confidence"
    )
