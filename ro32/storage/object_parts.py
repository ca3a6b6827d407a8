"""Finished parts in a store, beside their labels, so that any machine can resume a killed run."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import copy
from typing import Self

from ro32.errors import OutputError, TryAgainError
from ro32.storage.client import ConflictError, UnreachableError
from ro32.storage.local_parts import PART_NAME, RUN_NAME
from ro32.storage.object_target import ObjectTarget


class ObjectParts:
    """The objects of one run's finished parts, under a prefix that no run over other data or settings has."""

    def __init__(self, target: ObjectTarget, fingerprint: str) -> None:
        self._store = target.store
        self._all = f"{target.beside(f'.{target.name}.parts')}/"
        self._prefix = f"{self._all}{fingerprint}/"
        self._versions = {key.removeprefix(self._prefix): version for key, version in self._store.list(self._prefix)}

    def names(self) -> Iterable[str]:
        """Return the names of the parts that are there."""
        return list(self._versions)

    def create(self) -> None:
        """Do nothing: a store has no folders."""

    def read(self, name: str) -> bytes:
        """Return the content of a part; raise FileNotFoundError if it is gone, or another one by now."""
        version = self._versions.get(name)
        if version is None:
            raise FileNotFoundError(name)
        try:
            return self._store.read(self._prefix + name, version, 0, version.size) if version.size else b""
        except TryAgainError as error:
            raise FileNotFoundError(name) from error

    def write(self, name: str, data: bytes) -> None:
        """Write a part, in the place of a damaged one of that name."""
        key = self._prefix + name
        try:
            self._versions[name] = self._store.write(key, data, over=self._versions.get(name))
        except ConflictError:  # a run that took this one for dead was faster; equal names have equal content
            found = self._store.look(key)
            if found is not None:
                self._versions[name] = found

    def for_part(self, name: str | None) -> Self:
        """Return a copy that knows of one part alone, since all that are there may be too many for each message."""
        alone = copy(self)
        alone._versions = {known: version for known, version in self._versions.items() if known == name}  # noqa: SLF001
        return alone

    def notice(self, name: str) -> None:
        """Look at a part that another process wrote."""
        found = self._store.look(self._prefix + name)
        if found is not None:
            self._versions[name] = found

    def left_over(self) -> Iterator[tuple[str, int]]:
        """Yield URL and size in bytes of what other runs left."""
        for key, version in self._store.list(self._all):
            if self._is_part(key) and not key.startswith(self._prefix):
                yield self._store.show(key), version.size

    def clear(self) -> None:
        """Remove the parts of this run and of others; what cannot be removed stays."""
        with suppress(OutputError, UnreachableError):
            self._store.remove([key for key, _ in self._store.list(self._all) if self._is_part(key)])

    def _is_part(self, key: str) -> bool:
        run, _, name = key.removeprefix(self._all).partition("/")
        return RUN_NAME.fullmatch(run) is not None and PART_NAME.fullmatch(name) is not None
