"""Reads a bundle from a folder, an archive, or a repository of the Hugging Face hub at a pinned revision.

Nothing is ever unpacked under a name that an archive chose: the manifest says which files make up a bundle, and those
alone are read, each a plain file of a plain name, into memory, and no more bytes of them than a bundle has.
"""

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from ro32.errors import BundleError, InputMissingError, UsageError, one_line
from ro32.model.bundle_json import MANIFEST, SHA256, Manifest
from ro32.storage.files import require_regular

HUB_ARCHIVE = "bundle.tar"
"""Where a repository keeps a bundle that is not at its root: packed, since other programs take a model.onnx that they
see for theirs."""
_HUB_ORIGIN = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
MAX_BYTES = 480 << 20
"""Of all files of a bundle, unpacked: BERT base in float32 has 440 MB. When read back, they are in memory twice."""
MAX_MANIFEST_BYTES = 16 << 20
_MAX_MEMBERS = 10_000
_MAX_HEADER_BYTES = 16 << 20
"""Of all headers of a tar archive: those of as many members, and some long names."""
_PIECE_BYTES = 1 << 20
_OPENERS: Mapping[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_NO_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
"""What is raised for what is no archive. An OSError then has no number, or that of a seek to before the beginning."""


class _Found(NamedTuple):
    """A file of a bundle: its bytes, unpacked, and how to open it."""

    size: int
    open: Callable[[], IO[bytes]]


def read_files(origin: str, digest: str | None = None) -> dict[str, bytes]:
    """Return the content of a bundle's files by name, the manifest among them, each checked against its digest.

    Args:
        origin: A folder, a .tar (.gz, .bz2, .xz) or .zip archive, or "hf:owner/name@" and a commit of 40 hex digits.
        digest: SHA-256 in hex that its manifest must have; any by default.

    Raises:
        InputMissingError: There is nothing, or it cannot be read.
        UsageError: The digest is none, the hub is named without a commit, or the package that asks it is not installed.
        BundleError: It holds no bundle, or another one, or one of more than `MAX_BYTES`.
    """
    if digest is not None and not SHA256.fullmatch(digest.lower()):
        raise UsageError(f"expected a digest of 64 hex digits, as ro32-bundle show prints it, found {digest!r}")
    if origin.startswith("hf:"):
        return _from_hub(origin, digest)
    path = Path(origin)
    try:
        if path.is_dir():
            return _collect(origin, lambda name: _plain(path / name), digest)
        if path.is_file():
            return _from_archive(path, digest)
    except OSError as error:
        raise InputMissingError(f"{error.filename or path}: cannot be read: {error.strerror}; get it again") from error
    raise InputMissingError(f"{origin}: no such folder or archive; name one, or hf:owner/name@commit")


def _plain(path: Path) -> _Found:
    require_regular(path, BundleError, "name a folder that holds a bundle")
    return _Found(path.stat().st_size, lambda: path.open("rb"))


def _collect(origin: str, find: Callable[[str], _Found], expected: str | None) -> dict[str, bytes]:
    """Read the manifest, and what it lists."""
    raw, digest = _read(origin, MANIFEST, find(MANIFEST), MAX_MANIFEST_BYTES)
    if expected is not None and digest != expected.lower():
        raise BundleError(f"expected the bundle {expected}, found {digest}; it is another one, or was altered")
    try:
        manifest = Manifest.from_bytes(raw)
    except BundleError as error:
        raise BundleError(f"{origin}: {error}") from error
    files, left = {MANIFEST: raw}, MAX_BYTES - len(raw)
    for name, wanted in manifest.files.items():
        files[name], digest = _read(origin, name, find(name), left)
        left -= len(files[name])
        if digest != wanted:
            raise BundleError(f"{origin}: {name} is not what {MANIFEST} says (SHA-256 {digest}); get the bundle again")
    return files


def _read(origin: str, name: str, found: _Found, limit: int) -> tuple[bytes, str]:
    """Return a file's content and SHA-256; refuse one that has or announces more bytes than a limit."""
    content, digest = bytearray(), hashlib.sha256()
    if found.size <= limit:
        with found.open() as file:
            while len(content) <= limit and (piece := file.read(_PIECE_BYTES)):
                content += piece
                digest.update(piece)
    if max(found.size, len(content)) > limit:
        raise BundleError(
            f"{origin}: with {name} it has more than {MAX_BYTES if name != MANIFEST else limit:,} bytes, unpacked; "
            "this is not a bundle of ro32"
        )
    return bytes(content), digest.hexdigest()


class _Metered(io.BufferedIOBase):
    """A tar archive, unpacked, of which so many bytes may be read: all others are skipped.

    tarfile reads a header of any length, and maps of holes of any length, into memory.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self.left = _MAX_HEADER_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        size = -1 if size is None else size
        if not 0 <= size <= self.left:
            raise BundleError(f"{self._path}: its headers have more than {_MAX_HEADER_BYTES:,} bytes; pack it again")
        self.left -= size
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _from_archive(path: Path, digest: str | None) -> dict[str, bytes]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _from_members(path, _index(path, _of_zip(archive)), digest)
        with path.open("rb") as file:
            head = file.read(6)
        opener = next((opener for mark, opener in _OPENERS.items() if head.startswith(mark)), None)
        with opener(path) if opener else path.open("rb") as unpacked:
            metered = _Metered(unpacked, path)
            with tarfile.open(fileobj=metered, mode="r:") as tar:
                members = _index(path, _of_tar(path, tar))
                metered.left = 2 * MAX_BYTES
                return _from_members(path, members, digest)
    except (*_NO_ARCHIVE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise
        raise BundleError(
            f"{path}: expected a .tar, .tar.gz, .tar.bz2, .tar.xz or .zip archive, found none that can be read "
            f"({one_line(error)}); get it again, or name a folder"
        ) from error


def _of_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, _Found | None]]:
    """Yield the members of an archive with their names; None stands for what is no plain file."""
    for member in archive.infolist():
        plain = not (stat.S_ISLNK(member.external_attr >> 16) or member.is_dir())
        yield member.filename, _Found(member.file_size, partial(archive.open, member)) if plain else None


def _of_tar(path: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, _Found | None]]:
    """Yield the members of an archive with their names; None stands for what is no plain file."""
    size = 0
    for member in tar:
        size += member.size
        if size > MAX_BYTES:  # before it is skipped, which unpacks it
            raise BundleError(f"{path}: has more than {MAX_BYTES:,} bytes, unpacked; pack the bundle alone")
        yield member.name, _Found(member.size, partial(_extract, tar, member)) if member.isreg() else None


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    if file is None:
        raise tarfile.ReadError("a member is no plain file")
    return file


def _index(path: Path, members: Iterator[tuple[str, _Found | None]]) -> dict[str, _Found | None]:
    """Return the members of an archive by name; refuse one of which two readers might see different files."""
    found: dict[str, _Found | None] = {}
    for name, member in members:
        if len(found) == _MAX_MEMBERS:
            raise BundleError(f"{path}: has more than {_MAX_MEMBERS:,} members; pack the bundle alone")
        if name in found:
            raise BundleError(f"{path}: holds {name} twice; pack the bundle again")
        found[name] = member
    return found


def _from_members(path: Path, members: Mapping[str, _Found | None], digest: str | None) -> dict[str, bytes]:
    """Read a bundle out of an archive that holds one, at its root or in a folder."""
    manifests = [name for name in members if PurePosixPath(name).name == MANIFEST]
    if len(manifests) != 1:
        raise BundleError(f"{path}: expected one {MANIFEST}, found {len(manifests)}; pack one bundle folder")
    parent = manifests[0].removesuffix(MANIFEST)

    def find(name: str) -> _Found:
        found = members.get(f"{parent}{name}")
        if found is None:
            raise BundleError(f"{path}: holds no plain file {parent}{name}; pack the bundle again")
        return found

    return _collect(str(path), find, digest)


def _from_hub(origin: str, digest: str | None) -> dict[str, bytes]:
    found = _HUB_ORIGIN.fullmatch(origin)
    if found is None:
        raise UsageError(
            f"{origin}: expected hf:owner/name@ and a commit of 40 hex digits, so that it is the same bundle tomorrow; "
            "the repository's page lists its commits"
        )
    if find_spec("huggingface_hub") is None:
        raise UsageError(f"{origin}: the hub needs the package huggingface-hub; run: pip install 'ro32[hub]'")
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - a scoring host does without
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    def fetch(name: str) -> Path:
        try:
            return Path(hf_hub_download(found["repository"], name, revision=found["revision"]))
        except LocalEntryNotFoundError as error:  # no answer, which is an EntryNotFoundError too
            raise ConnectionError(_first_line(error)) from error

    try:
        try:
            fetch(MANIFEST)
        except EntryNotFoundError:
            return _from_archive(fetch(HUB_ARCHIVE), digest)
        return _collect(origin, lambda name: _plain(fetch(name)), digest)
    except EntryNotFoundError as error:
        raise BundleError(f"{origin}: contains no bundle: {_first_line(error)}") from error
    except (HfHubHTTPError, OSError, ValueError) as error:  # unreachable, unknown, not allowed
        raise InputMissingError(
            f"{origin}: cannot be fetched: {_first_line(error)}; check it, and try again"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
