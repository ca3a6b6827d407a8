"""The manifest of a folder of labels: which files are in it, written after the last of them.

A reader of the folder finds in it whether all files are there and whole. Names that begin with "_" or "." are
skipped by readers of such folders, ro32 among them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from ro32.storage import strict_json
from ro32.storage.files import InputFile, size_of
from ro32.storage.folders import Folder
from ro32.storage.objects import StoredObject

NAME = "_manifest.json"
MANIFEST_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields leave it as it is."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A labels file.

    Attributes:
        name: Its path within the folder.
        sha256: Of its bytes, in hex.
        e_tag: In a store, what that calls this content; None on a disk.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str
    e_tag: str | None = field(default=None, compare=False)  # older manifests lack it, and the digest says as much

    @classmethod
    def of(cls, name: str, labels: InputFile, rows: int) -> "Entry":
        """Describe a file by reading it; raise TryAgainError if, in a store, it is another one by now."""
        with labels.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        e_tag = labels.version.e_tag if isinstance(labels, StoredObject) else None
        return cls(name=name, rows=rows, size_bytes=size_of(labels), sha256=digest.hexdigest(), e_tag=e_tag)

    def vouches_for(self, name: str, labels: InputFile, rows: int) -> bool:
        """Whether a store says that a file is still this one, so that it need not be read."""
        return (
            isinstance(labels, StoredObject)
            and self.e_tag is not None
            and (self.name, self.rows, self.size_bytes, self.e_tag)
            == (name, rows, labels.version.size, labels.version.e_tag)
        )


def read_manifest(folder: Folder) -> dict[str, Any]:
    """Return the content of the manifest of a folder; empty if there is no readable manifest."""
    with suppress(ValueError):
        content = strict_json.parse(folder.read(NAME) or b"{}")
        if isinstance(content, dict) and content.get("manifest_version") == MANIFEST_VERSION:
            return content
    return {}


def read_entries(folder: Folder) -> dict[str, Entry]:
    """Return the files that the manifest of a folder lists, by name; none where it cannot be read."""
    with suppress(TypeError):
        entries = [Entry(**entry) for entry in read_manifest(folder).get("files", [])]
        return {entry.name: entry for entry in entries}
    return {}


def write_manifest(folder: Folder, entries: Sequence[Entry], facts: Mapping[str, Any]) -> None:
    """Make the manifest of these labels files appear, whole; `facts` are JSON values that hold for all of them.

    Raises:
        ReadWriteError: The manifest is new and whole, but not for sure on the disk; or a store failed.
        TryAgainError: In a store, another process wrote one meanwhile; it stays.
    """
    files = [{key: value for key, value in asdict(entry).items() if value is not None} for entry in entries]
    content = {"manifest_version": MANIFEST_VERSION, **facts, "files": files}
    folder.write(NAME, f"{json.dumps(content, indent=1)}\n".encode())
