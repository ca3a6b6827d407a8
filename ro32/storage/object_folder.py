"""A folder of labels in a store: the objects whose names begin with its own, each at the version that was listed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Self

from ro32.errors import InputMissingError, OutputError, TryAgainError
from ro32.storage.client import ConflictError, StoreSettings
from ro32.storage.names import HIDDEN
from ro32.storage.object_target import ObjectTarget, check_writable
from ro32.storage.objects import StoredObject
from ro32.storage.store import Store, Version
from ro32.storage.urls import ObjectUrl


@dataclass(frozen=True, kw_only=True)
class ObjectFolder:
    """A folder in a store.

    What stands there is listed once, when a run begins: a request for each of thousands of labels files would take
    longer, and every write is on the condition that the file is still the one that was listed, or still none.

    Attributes:
        store: Where it is.
        prefix: How the keys in it begin: empty, or with a slash at its end.
        versions: What stands there, by name.
    """

    store: Store
    prefix: str
    versions: dict[str, Version]

    @classmethod
    def of(cls, url: ObjectUrl, settings: StoreSettings) -> Self:
        """List what a URL names.

        Raises:
            UsageError: Nothing can be written there, or the package that asks stores is missing.
            OutputError: There is no such bucket, or it may not be listed.
        """
        check_writable(url)
        store, prefix = Store.of(url, settings), f"{url.key.removesuffix('/')}/" if url.key else ""
        try:
            listed = store.list(prefix)
        except InputMissingError as error:
            raise OutputError(str(error)) from error
        return cls(store=store, prefix=prefix, versions={key.removeprefix(prefix): found for key, found in listed})

    @property
    def itself(self) -> ObjectTarget:
        """The folder, as messages name it: no object has this name."""
        return self.target("")

    def target(self, name: str) -> ObjectTarget:
        """Return the target of an object, with its current version."""
        return ObjectTarget(store=self.store, key=self.prefix + name, before=self.versions.get(name))

    def there(self, name: str) -> StoredObject | None:
        """Return the object of that name when the folder was listed, or noticed since."""
        return self.target(name).labels_before

    def names(self) -> Iterable[str]:
        """List the *.parquet objects, hidden ones aside."""
        return [
            name
            for name in self.versions
            if name.endswith(".parquet") and not any(part.startswith(HIDDEN) for part in name.split("/"))
        ]

    def create(self) -> None:
        """Do nothing: a store has no folders."""

    def make_room(self, name: str) -> None:
        """Do nothing, as above."""

    def notice(self, name: str) -> None:
        """Look at labels that this run published."""
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
        """Write a small object in the place of the one that was listed.

        Raises:
            TryAgainError: Another one stands there by now; it stays.
        """
        target = self.target(name)
        try:
            self.versions[name] = self.store.write(target.key, data, over=target.before)
        except ConflictError as error:
            raise target.taken() from error

    def remove(self, names: Collection[str]) -> None:
        """Remove objects; missing ones are ignored."""
        self.store.remove([self.prefix + name for name in names])
