"""URLs of objects, and how to print them without credentials."""

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ro32.errors import UsageError

WRITABLE = ("s3", "gs", "az")
"""Schemes that can be listed and written to."""
WEB = ("https", "http")
"""Schemes of which one object can be read."""
_URL = re.compile(rf"(?:{'|'.join((*WRITABLE, *WEB))})://", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_BUCKET = re.compile(r"[\w$][\w.:$-]*", re.ASCII)
"""A name of a bucket or container, in compatible stores too; any other would change the address that is asked."""
BAD_NAMES = "no part of a name between slashes may be empty, '.' or '..', or hold control characters"
_SECRETS = re.compile(r"://(?:[^\s/?#@'\"]*@)?(?P<place>[^\s?#'\"]*)(?P<query>\?[^\s'\"=]*=[^\s'\"]*)?")
"""What follows the scheme of a URL; a search for the scheme too would take quadratic time in a long word.

A question mark without an equal sign behind it is a letter of a pattern, and no secret."""


@dataclass(frozen=True, kw_only=True)
class ObjectUrl:
    """A parsed URL. As text it is redacted; only the client sees all of it.

    Attributes:
        scheme: One of `WRITABLE` or `WEB`.
        host: Bucket or container; of a web address user, password, host and port.
        key: Path within it, without a slash in front; of a folder it ends in one, and of a bucket it is empty.
        query: What follows the question mark of a web address, where presigned addresses have their signature.
    """

    scheme: str
    host: str = field(repr=False)
    key: str
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> "ObjectUrl":
        """Take a URL apart.

        Raises:
            UsageError: It names no bucket, holds what only web addresses may, or begins with a slash in its bucket.
        """
        scheme, _, rest = text.partition("://")
        scheme = scheme.lower()
        if scheme in WEB:
            try:
                parts = urlsplit(text)
            except ValueError as error:
                raise UsageError(f"{redact(text)}: is not a web address ({error}); correct it") from error
            host, key, query = parts.netloc, unquote(parts.path.removeprefix("/")), parts.query
        else:
            (host, _, key), query = rest.partition("/"), ""
            if "@" in host:
                raise UsageError(f"{redact(text)}: credentials must not be part of a name; see docs/scale.md")
        if not host:
            raise UsageError(
                f"{redact(text)}: names no {'host' if scheme in WEB else 'bucket'}; write {scheme}://NAME/"
            )
        if scheme not in WEB and not _BUCKET.fullmatch(host):
            raise UsageError(f"{redact(text)}: no bucket has the name {host!r}; correct it")
        if scheme not in WEB and key.startswith("/"):  # the library would ask for the name without it
            raise UsageError(f"{redact(text)}: cannot be requested: {BAD_NAMES}; rename it")
        return cls(scheme=scheme, host=host, key=key, query=query)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def is_folder(self) -> bool:
        """Whether it names a folder, or a whole bucket, and no object."""
        return not self.key or self.key.endswith("/")

    @property
    def prefix(self) -> str:
        """How keys begin that are in it, taken as a folder: empty, or with a slash at its end."""
        return f"{self.key.removesuffix('/')}/" if self.key else ""

    def holds(self, other: "ObjectUrl") -> bool:
        """Return whether another name is in this one, taken as a folder."""
        return (self.scheme, self.host) == (other.scheme, other.host) and other.key.startswith(self.prefix)

    def __str__(self) -> str:
        return redact(f"{self.scheme}://{self.host}/{self.key}")


def is_url(text: str) -> bool:
    """Return whether a text names an object, or several in a store."""
    return _URL.match(text) is not None


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL of any kind; None if the text is none."""
    match = _SCHEME.match(text)
    return match[1] if match else None


def place(given: str | Path | ObjectUrl) -> Path | ObjectUrl:
    """Parse a user's text as a local path or as a name in a store.

    Raises:
        UsageError: It is a URL of another kind, or as `ObjectUrl.parse` raises it.
    """
    if isinstance(given, ObjectUrl):
        return given
    if isinstance(given, str) and is_url(given):
        return ObjectUrl.parse(given)
    if isinstance(given, str) and (scheme := scheme_of(given)):
        known = ", ".join(f"{name}://" for name in WRITABLE)
        raise UsageError(f"{redact(given)}: expected a path, or {known}, found {scheme}://; name a file by its path")
    return Path(given)


def redact(text: str) -> str:
    """Take user, password and query out of all URLs in a text."""
    return _SECRETS.sub(lambda found: f"://{found['place']}{'?...' if found['query'] else ''}", text)
