"""`ro32-bundle`: list, show, verify, install and refresh bundles."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from ro32.cli.parameters import HELP, PATH, Place
from ro32.cli.process import message, run
from ro32.cli.refresh import refresh_command, store_option
from ro32.cli.version import version_option
from ro32.errors import Ro32Error
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD
from ro32.model.installed import Installed, default_store, find, install, list_bundles, list_folders, look_at
from ro32.model.origins import read_files
from ro32.model.trial import try_out
from ro32.printable import printable, short


def bundle_folder(bundle: Path | None) -> Path:
    """Return the folder that `--bundle` means: a folder, or the name of an installed bundle."""
    return find(bundle, default_store())


def bundle_files(bundle: Path | None) -> list[Path]:
    """List the files in the folder that `--bundle` means; none if it cannot be read, which loading it reports."""
    with suppress(Ro32Error, OSError):
        return [*bundle_folder(bundle).iterdir()]
    return []


@click.group(name="ro32-bundle", context_settings=HELP)
@version_option
def command() -> None:
    """List, show, verify, install and refresh bundles: the models that ro32-score scores with.

    A bundle is a folder, or the name of an installed one.

    Example: ro32-bundle show cs.RO
    """


_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@command.command(name="list", context_settings=HELP)
@store_option
@_as_json
def list_command(*, store: Path, as_json: bool) -> None:
    """List the bundle that comes with ro32 and the installed ones.

    Example: ro32-bundle list
    """
    found, unusable = list_bundles(store)
    for error in unusable:
        click.echo(message(f"not listed: {error}"), err=True)
    if as_json:
        click.echo(json.dumps([_facts(bundle) for bundle in found], indent=2))
        return
    rows = [["name", "label", "threshold", "size", "digest", "folder"]]
    for item in found:
        threshold, size = f"{item.manifest.threshold:.4f}", f"{item.size_bytes / 1e6:.1f} MB"
        cells = (item.name, item.manifest.positive_label, threshold, size, item.digest[:12], str(item.folder))
        rows.append([printable(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command(name="show", context_settings=HELP)
@click.argument("bundle", type=PATH, metavar="BUNDLE", default=None, required=False)
@store_option
@_as_json
def show_command(*, bundle: Path | None, store: Path, as_json: bool) -> None:
    """Print settings, measured quality, origin and card of a bundle.

    The default is the bundle that comes with ro32.

    Example: ro32-bundle show cs.RO
    """
    found = look_at(find(bundle, store))
    Bundle.load(found.folder)  # what is shown is what was verified
    if as_json:
        click.echo(json.dumps(_facts(found), indent=2))
        return
    for name, value in _flat(_facts(found)):
        click.echo(f"{printable(name):<44}{short(printable(value))}")
    if CARD in found.manifest.files:
        card = (found.folder / CARD).read_bytes().decode(errors="replace")
        click.echo(f"\n{printable(card.rstrip(), lines=True)}")


@command.command(name="verify", context_settings=HELP)
@click.argument("bundles", nargs=-1, type=PATH, metavar="[BUNDLE]...")
@store_option
def verify_command(*, bundles: tuple[Path, ...], store: Path) -> None:
    """Check bundles: compare every file with its digest, and score short and long test papers.

    The default is all installed bundles. The exit code is 78 if any bundle is unusable.

    Example: ro32-bundle verify
    """
    failed: Ro32Error | None = None
    for folder in [find(bundle, store) for bundle in bundles] or list_folders(store):
        try:
            classifier = try_out(Bundle.load(folder))
            found = f"{classifier.manifest.name}, {classifier.digest}: whole and usable"
        except Ro32Error as error:
            found, failed = f"not usable: {error}", error
        click.echo(message(f"{folder}: {found}"))
    if failed is not None:
        raise failed


@command.command(name="install", context_settings=HELP)
@click.argument("origin", type=Place(readable=False), metavar="ORIGIN")
@click.option("--name", metavar="NAME", help="Name to install it under.  [default: the bundle's own name]")
@click.option("--digest", metavar="SHA256", help="Digest that the bundle must have; ro32-bundle show prints it.")
@click.option("--overwrite", is_flag=True, help="Replace an installed bundle of that name.")
@store_option
def install_command(*, origin: str, name: str | None, digest: str | None, overwrite: bool, store: Path) -> None:
    """Install a bundle after checking every file against its digest.

    ORIGIN is a folder, a .tar or .zip archive of a bundle, or a repository of the Hugging Face hub, which needs
    ro32[hub]: hf:owner/name@COMMIT with a commit of 40 hex digits.

    Example: ro32-bundle install bundle.tar.gz --name cs.RO-large
    """
    folder, bundle = install(read_files(origin, digest), store, name=name, overwrite=overwrite)
    click.echo(message(f"{folder}: {bundle.manifest.name}, {bundle.digest}"))
    click.echo(message(f"ro32-score --bundle {folder.name} scores with it"), err=True)


command.add_command(refresh_command)


def _facts(bundle: Installed) -> dict[str, Any]:
    """Return the facts of a manifest as JSON values."""
    manifest = asdict(bundle.manifest)
    return {
        "name": bundle.name,
        "folder": str(bundle.folder),
        "digest": bundle.digest,
        "size_bytes": bundle.size_bytes,
        "bundle": manifest.pop("name"),
        **manifest,
        "text_form": bundle.manifest.form,
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested objects, each with the way to it."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


main = partial(run, command)

if __name__ == "__main__":
    main()
