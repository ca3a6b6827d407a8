"""The manifest of a folder of labels: which files are in it, written after the last of them.

Whoever reads the folder finds in it whether all files are there and whole. Names that begin with "_" or "." are
passed over by readers of such folders, ro32 among them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ro32 import durable

NAME = "_manifest.json"
MANIFEST_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields leave it as it is."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A labels file.

    Attributes:
        name: Its path within the folder.
        rows: Its rows.
        size_bytes: Its size.
        sha256: Digest of its bytes, in hex.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, folder: Path, name: str, rows: int) -> "Entry":
        """Describe a file by reading it.

        Raises:
            OSError: It cannot be read.
        """
        path = folder / name
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(name=name, rows=rows, size_bytes=path.stat().st_size, sha256=digest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what the manifest of a folder says; nothing where there is none, or none that can be read."""
    with suppress(OSError, ValueError):
        told = json.loads((folder / NAME).read_bytes())
        if isinstance(told, dict) and told.get("manifest_version") == MANIFEST_VERSION:
            return told
    return {}


def read_entries(folder: Path) -> dict[str, Entry]:
    """Return the files that the manifest of a folder lists, by name; none where it cannot be read."""
    with suppress(TypeError):
        entries = [Entry(**entry) for entry in read_manifest(folder).get("files", [])]
        return {entry.name: entry for entry in entries}
    return {}


def write_manifest(folder: Path, entries: Sequence[Entry], told: Mapping[str, Any]) -> None:
    """Make the manifest appear, whole.

    Args:
        folder: The folder.
        entries: Its labels files.
        told: What is true of all of them, as JSON values.

    Raises:
        OutputError: The folder cannot be written to.
        OSError: The disk is full or failed.
        ReadWriteError: The manifest is new and whole, but not for sure on the disk.
    """
    files = [asdict(entry) for entry in entries]
    content = {"manifest_version": MANIFEST_VERSION, **told, "files": files}
    durable.write(folder / NAME, f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode())
