"""Finished parts on a disk, beside their labels, so that a killed run can be resumed."""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Self

from ro32.errors import OutputError
from ro32.storage import durable
from ro32.storage.folders import LocalFolder

RUN_NAME = re.compile(r"[0-9a-f]{32}")
"""What the parts of one run are under: the beginning of its fingerprint."""
PART_NAME = re.compile(r"(?P<index>[0-9]{8,})-(?P<sha256>[0-9a-f]{64})\.parquet")
"""A finished part. Files with other names are ignored."""

_PART_FILE = re.compile(rf"{PART_NAME.pattern}|\.[0-9]{{8,}}-[0-9a-f]{{64}}\.parquet\.[0-9a-f]{{8}}\.tmp")
"""The same, and what a run leaves that is killed while it writes one."""


class LocalParts(LocalFolder):
    """The folder of one run's finished parts, named after its fingerprint, beside the labels that they are for.

    Raises:
        OutputError: Another user's run left it.
    """

    def __init__(self, target: Path, fingerprint: str) -> None:
        self._target = target
        super().__init__(parts_folder(target) / fingerprint)
        for folder in (self.path.parent, self.path):
            with suppress(OSError):  # it is not there, or listing it fails in the same way
                if folder.stat().st_uid != os.geteuid() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                    raise OutputError(f"{folder}: left by a run of another user; remove it, or change its owner")

    def create(self) -> None:
        """Create the folder, so that it survives a power cut."""
        super().create()
        durable.sync_folder(self._target.parent)  # else a power cut takes the folder, parts and all

    def for_part(self, names: Collection[str]) -> Self:  # noqa: ARG002 - of use in stores
        """Return the folder itself."""
        return self

    def left_over(self) -> Iterator[tuple[str, int]]:
        """Yield path and size in bytes of what other runs for the same target left."""
        for run in _runs(self._target):
            if run != self.path:
                yield str(run), sum(path.stat().st_size for path in _files(run))
        for path in _temporary(self._target):
            yield str(path), path.stat().st_size

    def clear(self) -> None:
        """Remove the parts of this run and what other runs left.

        What cannot be removed stays, and so does what no run of ro32 put there.
        """
        with suppress(OSError):  # a folder cannot be listed
            for path in [*chain.from_iterable(_files(run) for run in _runs(self._target)), *_temporary(self._target)]:
                with suppress(OSError):
                    path.unlink()
            for folder in (*_runs(self._target), parts_folder(self._target)):
                with suppress(OSError):  # not empty
                    folder.rmdir()


def parts_folder(target: Path) -> Path:
    """Return the folder of a target's finished parts: beside it, and hidden."""
    return target.with_name(f".{target.name}.parts")


def _temporary(target: Path) -> list[Path]:
    """List the temporary files of this very target."""
    beside = target.parent.iterdir() if target.parent.is_dir() else ()
    return sorted(path for path in beside if durable.is_temporary(path, target))


def _runs(target: Path) -> list[Path]:
    """List the folders in which runs for a target keep their parts."""
    folder = parts_folder(target)
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if RUN_NAME.fullmatch(path.name) and path.is_dir())


def _files(run: Path) -> list[Path]:
    """List the parts in such a folder, and the temporary files of parts."""
    return sorted(path for path in run.iterdir() if _PART_FILE.fullmatch(path.name) and durable.is_plain(path))
