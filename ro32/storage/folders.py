"""Folders of files that ro32 writes, on a disk or in a store. Names are paths within the folder, with slashes."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Self

from ro32.errors import OutputError, TryAgainError
from ro32.storage import durable
from ro32.storage.client import ConflictError, StoreSettings
from ro32.storage.files import FileKind, kind_of
from ro32.storage.names import HIDDEN
from ro32.storage.object_target import ObjectTarget, check_writable
from ro32.storage.store import Store
from ro32.storage.urls import ObjectUrl

_SUFFIX = ".parquet"


class LocalFolder:
    """A folder on a disk, by its path with links resolved."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def target(self, name: str) -> Path:
        """Return a file's path; without a name the folder's."""
        return self.path / name

    def names(self) -> list[str]:
        """List the *.parquet files at any depth, hidden ones aside; raise OSError if a folder cannot be read."""
        found: list[Path] = []
        for folder, below, files in os.walk(self.path, onerror=_raise_if_there):
            below[:] = [name for name in below if not name.startswith(HIDDEN)]
            found += (Path(folder, name) for name in files if name.endswith(_SUFFIX) and not name.startswith(HIDDEN))
        return [str(path.relative_to(self.path)) for path in found]

    def create(self) -> None:
        """Create the folder, so that it survives a power cut."""
        durable.create_folder(self.path)
        durable.sync_folder(self.path.parent)

    def notice(self, name: str) -> None:
        """Do nothing: what is on a disk is found when it is read."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None if it cannot be read."""
        path = self.path / name
        try:
            return path.read_bytes() if kind_of(path) is FileKind.FILE else None
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Make a small file appear, whole; raises as `durable.write` does."""
        durable.write(self.path / name, data)

    def remove(self, names: Collection[str]) -> None:
        """Remove files, so that they stay away after a power cut. Missing ones are ignored."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)
        for parent in {(self.path / name).parent for name in names}:
            durable.sync_folder(parent)


def _raise_if_there(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


class ObjectFolder:
    """A folder in a store: the objects whose keys begin with its own.

    What stands there is listed once, when a run begins: a request for each of thousands of labels files would take
    longer, and every write is on the condition that the file is still the one that was listed, or still none.

    Args:
        store: Where it is.
        prefix: How the keys in it begin: empty, or with a slash at its end.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self.store, self.prefix = store, prefix
        self.versions = {key.removeprefix(prefix): version for key, version in store.list(prefix)}

    @classmethod
    def of(cls, url: ObjectUrl, settings: StoreSettings) -> Self:
        """List what a URL names; raise UsageError if nothing can be written there, or as `Store.of` does."""
        check_writable(url)
        return cls(Store.of(url, settings, OutputError), url.prefix)

    def target(self, name: str) -> ObjectTarget:
        """Return the target of an object, with its current version; without a name the folder's, which none has."""
        return ObjectTarget(store=self.store, key=self.prefix + name, before=self.versions.get(name))

    def names(self) -> list[str]:
        """List the *.parquet objects at any depth, hidden ones aside."""
        return [
            name
            for name in self.versions
            if name.endswith(_SUFFIX) and not any(part.startswith(HIDDEN) for part in name.split("/"))
        ]

    def create(self) -> None:
        """Do nothing: a store has no folders."""

    def notice(self, name: str) -> None:
        """Look at an object that was written since the folder was listed."""
        found = self.store.look(self.prefix + name)
        if found is not None:
            self.versions[name] = found

    def read(self, name: str) -> bytes | None:
        """Return the content of a small object; None if there is none, or another one by now."""
        version = self.versions.get(name)
        if version is None or not version.size:
            return None
        try:
            return self.store.read(self.prefix + name, version, 0, version.size)
        except TryAgainError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a small object in the place of the one that was listed; raise TryAgainError if there is another."""
        target = self.target(name)
        try:
            self.versions[name] = self.store.write(target.key, data, over=target.before)
        except ConflictError as error:
            raise target.taken() from error

    def remove(self, names: Collection[str]) -> None:
        """Remove objects; missing ones are ignored."""
        self.store.remove([self.prefix + name for name in names])


Folder = LocalFolder | ObjectFolder
