"""An object at a fixed version as an input file: found, read by ranges of bytes, and checked again."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from ro32.errors import InputMissingError
from ro32.storage.client import StoreSettings
from ro32.storage.names import HIDDEN, is_data
from ro32.storage.positioned import Positioned
from ro32.storage.store import Store, Version
from ro32.storage.urls import WEB, ObjectUrl

_HEAD_BYTES = 64 << 10
_READ_AHEAD_BYTES = 8 << 20
"""The most that is read at once ahead of what is asked for, by what reads from end to end."""
MAGIC = frozenset("*?[")
"""What makes a name a pattern."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One version of an object, as it was when it was found. Every read is of this version or fails."""

    store: Store
    key: str
    version: Version

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """What the name ends in, as of a path."""
        return PurePosixPath(self.key).suffix

    def __str__(self) -> str:
        return self.store.show(self.key)

    def open(self, _mode: str = "rb") -> io.BufferedReader:
        """Open it for reading from end to end: what is read ahead grows as a file system's does."""
        return io.BufferedReader(_Reader(self, read_ahead=True), _HEAD_BYTES)

    def ranges(self) -> io.RawIOBase:
        """Open it for reading here and there: exactly the bytes that are asked for."""
        return _Reader(self, read_ahead=False)

    def is_unchanged(self) -> bool:
        """Return whether the store still holds this version."""
        now = self.store.look(self.key)
        return now is not None and now.same_content(self.version)


class _Reader(Positioned):
    """Reads an object by ranges."""

    def __init__(self, source: StoredObject, *, read_ahead: bool) -> None:
        super().__init__(source.version.size)
        self._source = source
        self._window = _HEAD_BYTES if read_ahead else 0
        self._ahead, self._ahead_at = b"", 0

    def readinto(self, buffer: "memoryview | bytearray", /) -> int:  # type: ignore[override] # any buffer
        data = self._take(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _take(self, size: int) -> bytes:
        """Return at most so many bytes from where the reader is, and none only at the end."""
        end = min(self._at + size, self._size)
        if end <= self._at:
            return b""
        if not self._window:
            return self._fetch(self._at, end)
        if not self._ahead_at <= self._at < self._ahead_at + len(self._ahead):
            until = min(self._at + max(size, self._window), self._size)
            self._ahead, self._ahead_at = self._fetch(self._at, until), self._at
            self._window = min(2 * self._window, _READ_AHEAD_BYTES)
        start = self._at - self._ahead_at
        return self._ahead[start : start + size]

    def _fetch(self, start: int, end: int) -> bytes:
        source = self._source
        return source.store.read(source.key, source.version, start, end)


def find_objects(urls: Iterable[str | ObjectUrl], settings: StoreSettings) -> list[StoredObject]:
    """Resolve URLs to distinct objects, sorted as paths are: each is one, a folder (all papers in it) or a pattern.

    Raises:
        UsageError: A URL is none, the package for stores is missing, or web addresses are not allowed.
        InputMissingError: A URL names nothing.
    """
    found: dict[str, StoredObject] = {}
    for given in urls:
        url = ObjectUrl.parse(given) if isinstance(given, str) else given
        store = Store.of(url, settings)
        objects = _objects_of(store, url)
        if not objects:
            raise InputMissingError(f"{url}: no such object, and none below it or of that pattern; check the name")
        found.update({f"{store.root.query}{item}": item for item in objects})
    return sorted(found.values(), key=lambda item: str(item).split("/"))


def _objects_of(store: Store, url: ObjectUrl) -> list[StoredObject]:
    key = url.key
    if not url.is_folder:
        version = store.look(key)
        if version is not None:  # also an object whose name looks like a pattern
            return [StoredObject(store=store, key=key, version=version)]
        if store.root.scheme in WEB:
            return []
    if MAGIC & set(key):
        fixed = key[: min(key.index(letter) for letter in MAGIC & set(key))]
        listed = [item for item in store.list(fixed) if _is_meant(item[0], key)]
    else:
        depth = url.prefix.count("/")
        listed = [item for item in store.list(url.prefix) if _is_data_below(depth, item[0].split("/"))]
    # The marker of an empty folder, as consoles make it, is listed without its slash, and found under no such name.
    there = [(found, version) for found, version in listed if version.size or store.look(found) is not None]
    return [StoredObject(store=store, key=found, version=version) for found, version in there]


def would_read(given: ObjectUrl, url: ObjectUrl) -> bool:
    """Return whether an input, a folder or a pattern, would hold an object of this name."""
    same_store = (given.scheme, given.host) == (url.scheme, url.host)
    return given.holds(url) or (same_store and _is_meant(url.key, given.key))


def _is_meant(key: str, pattern: str) -> bool:
    """Return whether a key matches a pattern, or holds papers within a folder that matches."""
    parts, folder = key.split("/"), pattern.removesuffix("/").split("/")
    return matches(parts, pattern.split("/")) or any(
        matches(parts[:end], folder) and _is_data_below(end, parts) for end in range(1, len(parts))
    )


def _is_data_below(depth: int, parts: Sequence[str]) -> bool:
    """Return whether a key, cut at its slashes, is one of papers, and not hidden below a folder of this depth."""
    return is_data(parts[-1]) and not any(part.startswith(HIDDEN) for part in parts[depth:])


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether a key or path, cut at its slashes, matches a pattern as paths do: `**` stands for any folders."""
    if not pattern or not parts:
        return not parts and list(pattern) in ([], ["**"])
    first, rest = pattern[0], pattern[1:]
    last = len(parts) == 1
    hidden = parts[0].startswith(HIDDEN if last else ".") and not first.startswith(HIDDEN if last else ".")
    if first == "**":
        return matches(parts, rest) or (not hidden and matches(parts[1:], pattern))
    return not hidden and fnmatchcase(parts[0], first) and matches(parts[1:], rest)
