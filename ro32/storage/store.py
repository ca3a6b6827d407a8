"""A store: the operations of a bucket, a container or a web host."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from ro32.errors import InputMissingError, OutputError, Ro32Error, TryAgainError, UsageError
from ro32.storage.client import (
    NEVER_S,
    ConflictError,
    StoreSettings,
    UnreachableError,
    ask,
    each_in_time,
    open_client,
)
from ro32.storage.failures import ShortAnswerError
from ro32.storage.urls import WEB, ObjectUrl

if TYPE_CHECKING:
    from mmap import mmap

    from obstore import GetOptions, ObjectMeta, PutResult
    from obstore.store import ObjectStore

_BYTES_PER_S = 1 << 20
"""A try may take the time that its bytes take at this rate."""
MARK = "ro32_write"
"""Metadata of what is written: tells the writer whether an answer that was lost had been a yes."""
_PAGE_OBJECTS = 1_000
"""Objects that stores list in one answer."""
_SMALL_BYTES = 64 << 10
"""Heads and footers, which are read several times and are kept; 16 MB of them at most."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """The version of an object's content.

    Attributes:
        e_tag: The store's digest or counter; None if a web server gives none.
        generation: A second one, of stores that have it.
        size: Bytes.
        modified_ns: Time of modification, in ns since 1970, in whole seconds, as some requests return no more.
    """

    e_tag: str | None
    generation: str | None
    size: int
    modified_ns: int

    @classmethod
    def of(cls, meta: "ObjectMeta") -> "Version":
        """Convert the library's description."""
        modified_ns = int(meta["last_modified"].timestamp()) * 1_000_000_000
        return cls(e_tag=meta["e_tag"], generation=meta["version"], size=meta["size"], modified_ns=modified_ns)

    @property
    def condition(self) -> "GetOptions":
        """The condition under which an answer is about this version. A weak tag matches nothing, by definition."""
        if self.e_tag is not None and not self.e_tag.startswith("W/"):
            return {"if_match": self.e_tag}
        return {"if_unmodified_since": datetime.fromtimestamp(self.modified_ns / 1e9, UTC)}

    def same_content(self, other: "Version") -> bool:
        """Return whether another description is of this version."""
        if None in {self.e_tag, other.e_tag}:
            return (self.size, self.modified_ns) == (other.size, other.modified_ns)
        return (self.size, self.e_tag) == (other.size, other.e_tag)


@dataclass(frozen=True, kw_only=True)
class Store:
    """A bucket, a container or a web host: its URL without a key, how it is asked, and the error if it refuses that."""

    root: ObjectUrl
    settings: StoreSettings
    refused: type[Ro32Error] = field(compare=False)

    @classmethod
    def of(cls, url: ObjectUrl, settings: StoreSettings, refused: type[Ro32Error] = InputMissingError) -> "Store":
        """Return the store that an object is in; `refused` is OutputError where labels are to be written.

        Raises:
            UsageError: The package that asks it is not installed, or web addresses are not allowed.
        """
        root = replace(url, key="")
        open_client(root, settings)
        return cls(root=root, settings=settings, refused=refused)

    @property
    def client(self) -> "ObjectStore":
        """The library's client."""
        return open_client(self.root, self.settings)

    def url(self, key: str) -> ObjectUrl:
        """Return the URL of an object."""
        return replace(self.root, key=key)

    def show(self, key: str) -> str:
        """Return the URL of an object for messages, redacted."""
        return f"{self.root}{key}"

    def look(self, key: str) -> Version | None:
        """Return the present version of an object; None if there is none."""

        async def request() -> "ObjectMeta":
            if self.root.scheme not in WEB:
                return await self.client.head_async(key)
            # A presigned address is good for GET alone.
            return (await self.client.get_async(key, options={"range": (0, 1)})).meta

        try:
            return Version.of(ask(self.show(key), request, refused=self.refused))
        except FileNotFoundError:
            return None

    def read(self, key: str, version: Version, start: int, end: int) -> bytes:
        """Return some bytes of one version of an object; raise TryAgainError if it is another one by now, or gone."""
        return (_read_small if end - start <= _SMALL_BYTES else _read)(self, key, version, start, end)

    def list(self, prefix: str) -> "Sequence[tuple[str, Version]]":
        """Return all objects whose key begins with a prefix, by key; raise UsageError for a web host."""
        if self.root.scheme in WEB:
            raise UsageError(f"{self.show(prefix)}: web servers do not list files; name each file")
        # The library takes whole folders only, so what follows the last slash is compared here.
        folder = prefix.rpartition("/")[0]

        async def request() -> "Sequence[ObjectMeta]":
            pages = self.client.list(folder or None, chunk_size=_PAGE_OBJECTS)
            return [meta async for page in each_in_time(pages) for meta in page]

        try:
            found = ask(self.show(prefix), request, refused=self.refused, more_s=NEVER_S)
        except FileNotFoundError:
            return []
        return sorted((meta["path"], Version.of(meta)) for meta in found if meta["path"].startswith(prefix))

    def write(self, key: str, data: "bytes | mmap", *, over: Version | None) -> Version:
        """Write a whole object in one request, which all see or none.

        Returns:
            The new version; without a time of modification if the store returns none.

        Raises:
            ConflictError: The present version is not `over` (None: no object); nothing was written.
            UnreachableError: The store failed and, as far as it answers, nothing was written.
        """
        mark, what = secrets.token_hex(8), self.show(key)
        if over is not None and over.generation is None and self.root.scheme == "gs":
            # Google's condition is the generation, which a list of objects need not tell.
            now = self.look(key)
            if now is None or not now.same_content(over):
                raise ConflictError
            over = now
        mode: Any = "create"
        if over is not None:
            mode = {name: meta for name, meta in (("e_tag", over.e_tag), ("version", over.generation)) if meta}

        async def request() -> "PutResult":
            return await self.client.put_async(key, data, mode=mode, attributes={MARK: mark}, use_multipart=False)

        try:
            meta = ask(what, request, refused=OutputError, more_s=len(data) / _BYTES_PER_S)
        except FileNotFoundError as error:
            raise OutputError(f"{what}: cannot be created: there is no such bucket; create it") from error
        except (ConflictError, UnreachableError):
            found = self._written(key, mark)
            if found is None:
                raise
            return found  # it was the answer that was lost
        return Version(e_tag=meta["e_tag"], generation=meta["version"], size=len(data), modified_ns=0)

    def _written(self, key: str, mark: str) -> Version | None:
        """Return the present version of an object if it is what was written with a mark."""

        async def request() -> Version | None:
            found = await self.client.get_async(key, options={"head": True})
            return Version.of(found.meta) if found.attributes.get(MARK) == mark else None

        try:
            return ask(self.show(key), request, refused=OutputError)
        except FileNotFoundError:
            return None

    def remove(self, keys: "Sequence[str]") -> None:
        """Remove objects; missing ones are ignored."""
        for key in keys:  # each with tries of its own: among thousands some fail
            with suppress(FileNotFoundError):
                ask(self.show(key), partial(self.client.delete_async, key), refused=OutputError)


def _read(store: Store, key: str, version: Version, start: int, end: int) -> bytes:
    async def request() -> bytes:
        options: GetOptions = {"range": (start, end), **version.condition}
        answer = await store.client.get_async(key, options=options)
        if not Version.of(answer.meta).same_content(version):  # a server that knows no conditions
            raise ConflictError
        data = bytes(await answer.bytes_async())
        if len(data) != end - start:
            raise ShortAnswerError(f"expected {end - start:,} bytes, found {len(data):,}")
        return data

    try:
        return ask(store.show(key), request, refused=store.refused, more_s=(end - start) / _BYTES_PER_S)
    except (ConflictError, FileNotFoundError) as error:
        raise TryAgainError(f"{store.show(key)} changed while it was read; run again when it is complete") from error


_read_small = lru_cache(maxsize=256)(_read)
