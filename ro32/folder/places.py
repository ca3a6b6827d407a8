"""A folder with a labels file for each input file, on a disk or in a store: the operations that a run needs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ro32.errors import DISK_ERRNOS, OutputError
from ro32.run.inputs import visible_files
from ro32.storage import durable
from ro32.storage.client import StoreSettings
from ro32.storage.files import InputFile, Kind, Target, kind_of
from ro32.storage.object_folder import ObjectFolder
from ro32.storage.urls import ObjectUrl


class LabelsFolder(Protocol):
    """Where labels files are. Their names are paths within the folder, with slashes."""

    @property
    def itself(self) -> Target:
        """The folder, as jobs and messages name it."""

    def target(self, name: str) -> Target:
        """Return the target of a file."""

    def there(self, name: str) -> InputFile | None:
        """Return the current file of that name, as far as is known; None if there is none."""

    def names(self) -> Iterable[str]:
        """List the *.parquet files, hidden ones aside."""

    def create(self) -> None:
        """Make sure that files can be written."""

    def make_room(self, name: str) -> None:
        """Make sure that this file can be."""

    def notice(self, name: str) -> None:
        """Take note of labels that this run published."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None if there is none, or none that can be read."""

    def write(self, name: str, data: bytes) -> None:
        """Make a small file appear, whole."""

    def remove(self, names: Collection[str]) -> None:
        """Remove files; those that are gone already are no matter."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder on a disk.

    Args:
        path: The folder, links resolved.
    """

    path: Path

    @property
    def itself(self) -> Path:
        """The folder's path."""
        return self.path

    def target(self, name: str) -> Path:
        """Return a file's path."""
        return self.path / name

    def there(self, name: str) -> Path:
        """Return a file's path, whether it is there or not: what reads it finds out."""
        return self.path / name

    def names(self) -> Iterable[str]:
        """List the *.parquet files, hidden ones aside."""
        files = visible_files(self.path, follow_links=False) if self.path.is_dir() else ()
        return [str(path.relative_to(self.path)) for path in files if path.name.endswith(".parquet")]

    def create(self) -> None:
        """Create the folder, so that it survives a power cut.

        Raises:
            OutputError: It cannot be created.
            OSError: The disk is full or failed.
        """
        _create(self.path)
        durable.sync_folder(self.path.parent)

    def make_room(self, name: str) -> None:
        """Create the folder that a file is to be in.

        Raises:
            OutputError: It cannot be created.
            OSError: The disk is full or failed.
        """
        _create((self.path / name).parent)

    def notice(self, name: str) -> None:
        """Do nothing: what is on a disk is found when it is read."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it cannot be read."""
        try:
            return (self.path / name).read_bytes() if kind_of(self.path / name) is Kind.FILE else None
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Make a file appear, whole.

        Raises:
            OutputError: The folder cannot be written to.
            OSError: The disk is full or failed.
            ReadWriteError: The file is new and whole, but not for sure on the disk.
        """
        durable.write(self.path / name, data)

    def remove(self, names: Collection[str]) -> None:
        """Remove files, so that they stay away after a power cut.

        Raises:
            OSError: The disk failed, or one may not be removed.
        """
        for name in names:
            (self.path / name).unlink(missing_ok=True)
        for parent in {(self.path / name).parent for name in names}:
            durable.sync_folder(parent)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise
        raise OutputError(
            f"{folder}: cannot be created: {error.strerror}; name a folder within one that is writable"
        ) from error


def labels_folder(place: Path | ObjectUrl, stores: StoreSettings) -> LabelsFolder:
    """Return a folder; of one in a store, as it is now.

    Raises:
        UsageError: Nothing can be written there, or the package that asks stores is missing.
        OutputError: It may not be looked at.
        UnreachableError: The store failed.
    """
    return LocalFolder(place) if isinstance(place, Path) else ObjectFolder.of(place, stores)
