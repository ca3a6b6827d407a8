"""The folder of installed bundles: each a subfolder, complete and verified, under its own name."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ro32.errors import BundleError, OutputError, UsageError, nearest
from ro32.model.bundle import SHIPPED, Bundle, read_manifest, shipped_folder
from ro32.model.bundle_json import MANIFEST, Manifest
from ro32.model.publish import publish

_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An installed bundle, as its manifest describes it: its other files were not read.

    Its name is what `ro32-score --bundle` calls it, its digest the SHA-256 in hex of the manifest.
    """

    name: str
    folder: Path
    digest: str
    manifest: Manifest
    size_bytes: int


def default_store() -> Path:
    """Return the user's folder of bundles; the machine's where the user has no home, as in a container."""
    try:
        data = platformdirs.user_data_path("ro32")
    except RuntimeError:
        data = platformdirs.site_data_path("ro32")
    return data / "bundles"


def look_at(folder: Path, name: str | None = None) -> Installed:
    """Read the manifest of a bundle folder; raise BundleError if it has none."""
    manifest, digest = read_manifest(folder)
    try:
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    except OSError as error:
        raise BundleError(f"bundle {folder}: cannot be read ({error.strerror}); name a bundle folder") from error
    return Installed(name=name or folder.name, folder=folder, digest=digest, manifest=manifest, size_bytes=size)


def list_folders(store: Path) -> list[Path]:
    """List the folder of the bundle that comes with ro32, then those in a store that have a manifest, by name."""
    try:
        inside = sorted(store.iterdir()) if os.path.lexists(store) else []
    except OSError as error:
        raise BundleError(f"{store}: cannot be read: {error.strerror}; name another folder with --store") from error
    return [shipped_folder(), *(path for path in inside if _may_be_bundle(path))]


def _may_be_bundle(path: Path) -> bool:
    try:
        return (path / MANIFEST).is_file() and path.name[0] != "."
    except OSError:  # what cannot be looked at is listed, and reported
        return True


def list_bundles(store: Path) -> tuple[list[Installed], list[BundleError]]:
    """Read the manifests of the bundles that `list_folders` lists; return them, and why others could not be read."""
    found, unusable = [], []
    for folder in list_folders(store):
        try:
            found.append(look_at(folder, SHIPPED if folder == shipped_folder() else None))
        except BundleError as error:
            unusable.append(error)
    return found, unusable


def find(bundle: Path | None, store: Path) -> Path:
    """Return the folder that a bundle's folder or name means; None is the one that comes with ro32.

    Raises:
        BundleError: It is a name that no bundle has.
    """
    if bundle is None:
        return shipped_folder()
    with suppress(OSError):  # a path that cannot be looked at is reported when it is read
        if bundle.exists() or bundle.name != str(bundle):
            return bundle
        if (store / bundle).is_dir():
            return store / bundle
        if bundle.name == SHIPPED:
            return shipped_folder()
        names = [SHIPPED, *(path.name for path in store.iterdir())] if store.is_dir() else [SHIPPED]
        raise BundleError(
            f"bundle {bundle}: no folder of that name, and no installed bundle{nearest(bundle.name, names)}; "
            "ro32-bundle list shows them"
        )
    return bundle


def install(files: Mapping[str, bytes], store: Path, *, name: str | None, overwrite: bool) -> tuple[Path, Bundle]:
    """Make a bundle appear in a store, whole and verified, or not at all; it is called as its manifest does by default.

    Returns:
        Its folder, and the bundle as it was read back.

    Raises:
        UsageError: The name is no name of a folder.
        BundleError: Its files are not those that its manifest lists.
        OutputError: A bundle of that name is there, or the store cannot be written to.
    """
    name = name or Manifest.from_bytes(files[MANIFEST]).name
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of a folder; choose one of letters, digits, '.', '-' and '_'")
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{store}: cannot be created: {error.strerror}; name another folder with --store") from error
    return store / name, publish(store / name, files, overwrite=overwrite)
