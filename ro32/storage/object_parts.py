"""Finished parts in a store, beside their labels, so that any machine can resume a killed run."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from copy import copy
from typing import Self

from ro32.errors import OutputError, TryAgainError
from ro32.storage.client import UnreachableError
from ro32.storage.folders import ObjectFolder
from ro32.storage.local_parts import PART_NAME, RUN_NAME
from ro32.storage.object_target import ObjectTarget


class ObjectParts(ObjectFolder):
    """The objects of one run's finished parts, under a prefix that no run over other data or settings has."""

    def __init__(self, target: ObjectTarget, fingerprint: str) -> None:
        self._all = f"{target.beside(f'.{target.name}.parts')}/"
        super().__init__(target.store, f"{self._all}{fingerprint}/")

    def write(self, name: str, data: bytes) -> None:
        """Write a part, in the place of a damaged one of that name."""
        try:
            super().write(name, data)
        except TryAgainError:  # a run that took this one for dead was faster; equal names have equal content
            self.notice(name)

    def for_part(self, names: Collection[str]) -> Self:
        """Return a copy that knows of these parts alone, since all that are there may be too many for each message."""
        alone = copy(self)
        alone.versions = {known: version for known, version in self.versions.items() if known in names}
        return alone

    def left_over(self) -> Iterator[tuple[str, int]]:
        """Yield URL and size in bytes of what other runs left."""
        for key, version in self.store.list(self._all):
            if self._is_part(key) and not key.startswith(self.prefix):
                yield self.store.show(key), version.size

    def clear(self) -> None:
        """Remove the parts of this run and of others; what cannot be removed stays."""
        with suppress(OutputError, UnreachableError):
            self.store.remove([key for key, _ in self.store.list(self._all) if self._is_part(key)])

    def _is_part(self, key: str) -> bool:
        run, _, name = key.removeprefix(self._all).partition("/")
        return RUN_NAME.fullmatch(run) is not None and PART_NAME.fullmatch(name) is not None
