"""Publishes folders, mainly bundles: complete, or not at all."""

import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ro32.errors import OutputError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import MANIFEST
from ro32.storage.durable import check_replaceable, sync_folder

Found = TypeVar("Found")


def check_target(target: Path, *, overwrite: bool, read: Sequence[Path] = ()) -> None:
    """Refuse early what `publish` would have to refuse in the end.

    Raises:
        OutputError: The target may not or cannot be replaced or created, or holds a file that is `read` for it.
    """
    try:
        if not target.parent.is_dir():
            raise OutputError(f"{target}: the folder {target.parent} does not exist; create it")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise OutputError(f"{target}: the folder {target.parent} is not writable; name another place")
        if not os.path.lexists(target):
            return
        if not overwrite:
            raise OutputError(f"{target}: already exists; name another folder, or replace it with --overwrite")
        if target.is_symlink() or not (target / MANIFEST).is_file():
            raise OutputError(f"{target}: is no bundle folder, so --overwrite does not replace it; name another folder")
        within = [path for path in read if target.resolve() in path.resolve().parents]
        if within:
            raise OutputError(f"{target}: holds {within[0]}, which would be removed with it; name another folder")
        check_replaceable(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be created: {error.strerror}; name another folder") from error


def publish(target: Path, files: Mapping[str, bytes], *, overwrite: bool) -> Bundle:
    """Write a bundle beside its target, read it back, and move it into place by one rename.

    One that is there and may be replaced is moved aside first, and back if the new one does not take its place; only
    between these two renames is there no bundle.

    Raises:
        OutputError: The target is there and may not be replaced, or it cannot be written.
        BundleError: What was read back is no bundle.
    """
    check_target(target, overwrite=overwrite)
    return appear(target, files, check=Bundle.load)


def appear(target: Path, files: Mapping[str, bytes], *, check: Callable[[Path], Found]) -> Found:
    """Write a folder beside its target, check it there, and move it into place; what is there is moved aside.

    `check` reads what was written, raises what it finds wrong, and returns what this returns. OutputError is raised if
    it cannot be written.
    """
    token = secrets.token_hex(4)  # in a container, each run may have the number of the one that was killed
    beside = target.with_name(f".{target.name}.{token}.partial")
    aside = target.with_name(f".{target.name}.{token}.old")
    try:
        beside.mkdir()
        for name, content in files.items():
            _write(beside / name, content)
        found = check(beside)
        sync_folder(beside)
        if target.exists():
            target.rename(aside)
        beside.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror}; nothing was published") from error
    finally:
        if os.path.lexists(aside) and not os.path.lexists(target):  # whatever came in between, a signal too
            aside.rename(target)
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
    return found


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
