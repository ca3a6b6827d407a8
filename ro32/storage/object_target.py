"""Labels in a store: written whole by one conditional request, or not at all."""

import mmap
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ro32.errors import InputMissingError, OutputError, ReadWriteError, TryAgainError, UsageError
from ro32.storage.client import ConflictError, StoreSettings
from ro32.storage.objects import StoredObject
from ro32.storage.store import Store, Version
from ro32.storage.urls import WEB, ObjectUrl

MOST_BYTES = 5 << 30
"""Of one object that is written in one request, which alone can have a condition.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""


@dataclass(frozen=True, kw_only=True)
class ObjectTarget:
    """A labels file, or another one that a run writes, in a store; `before` is what stands there and is replaced."""

    store: Store
    key: str
    before: Version | None

    @classmethod
    def of(cls, url: ObjectUrl, settings: StoreSettings) -> "ObjectTarget":
        """Look at what a URL names; raise OutputError if that is a folder, or as `ObjectFolder.of` does."""
        check_writable(url)
        if url.is_folder:
            raise OutputError(f"{url} is a folder; name an object in it")
        store = Store.of(url, settings, OutputError)
        return cls(store=store, key=url.key, before=store.look(url.key))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """What the name ends in, as of a path."""
        return PurePosixPath(self.key).suffix

    @property
    def labels_before(self) -> StoredObject | None:
        """The labels that stand there now."""
        if self.before is None:
            return None
        readable = replace(self.store, refused=InputMissingError)
        return StoredObject(store=readable, key=self.key, version=self.before)

    def beside(self, name: str) -> str:
        """Return the key of another object in the same folder."""
        return str(PurePosixPath(self.key).with_name(name))

    def check_unchanged(self) -> None:
        """Raise TryAgainError if what stands there is not what was seen any more."""
        now = self.store.look(self.key)
        if (now is None) != (self.before is None) or (now and self.before and not now.same_content(self.before)):
            raise self.taken()

    def taken(self) -> TryAgainError:
        """Return the error for the case that another run was faster."""
        return TryAgainError(f"{self}: another process wrote it meanwhile, and its version stays; run again")

    def __str__(self) -> str:
        return self.store.show(self.key)


def check_writable(url: ObjectUrl) -> None:
    """Raise UsageError for a web address, which is only ever read."""
    if url.scheme in WEB:
        raise UsageError(f"{url}: labels can only be written to files, s3://, gs:// and az://; name one of these")


def create_spool() -> tuple[Path, BinaryIO]:
    """Open a new local file for labels that are to be uploaded when complete; return its path and the file."""
    descriptor, path = tempfile.mkstemp(prefix="ro32-")  # not named after an object: its name may be too long
    return Path(path), os.fdopen(descriptor, "wb")


def upload(temporary: Path, file: BinaryIO, target: ObjectTarget) -> None:
    """Make a complete local file appear in the store, in the place of what was seen there and of nothing else.

    Raises:
        TryAgainError: Something else stands there by now; it stays.
        OutputError: The file is too large.
        ReadWriteError: The store failed; it has what it had, as far as it can be asked.
    """
    file.close()
    size = temporary.stat().st_size
    if size > MOST_BYTES:
        raise OutputError(
            f"{target}: {size:,} bytes of labels are more than the {MOST_BYTES:,} of one upload; nothing was "
            "published; score the input files separately"
        )
    with temporary.open("rb") as complete:
        # A map is freed with its last user, who may be a thread. Nothing, as JSON lines of no papers are, has none.
        data = mmap.mmap(complete.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    try:
        written = target.store.write(target.key, data, over=target.before)
    except ConflictError as error:
        raise target.taken() from error
    now = target.store.look(target.key)
    if now is None or not now.same_content(written):
        raise ReadWriteError(
            f"{target}: {size:,} bytes were written, but the store now has another object: it was replaced, or the "
            "store failed; run again"
        )
