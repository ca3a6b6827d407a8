"""Where a bundle may come from: a folder, an archive, or a repository of the Hugging Face hub at a pinned revision.

Nothing is ever unpacked under a name that an archive chose: the manifest says which files make up a bundle, and those
alone are read, each a plain file of a plain name, into memory. What they are worth is checked when they are published.
"""

import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import IO

from ro32.errors import BundleError, InputMissingError, UsageError
from ro32.model.bundle import MANIFEST, Manifest
from ro32.storage.files import require_regular

HUB = "hf:"
HUB_ARCHIVE = "bundle.tar"
"""Where a repository keeps a bundle that is not at its root: packed, since other programs take a model.onnx that they
see for theirs."""
_HUB_ORIGIN = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
MAX_FILE_BYTES = 2 << 30
"""No ONNX file can have more; of an archive, what a file unpacks to."""
MAX_MANIFEST_BYTES = 16 << 20
_MAX_MEMBERS = 10_000


def read_files(origin: str) -> dict[str, bytes]:
    """Return the content of a bundle's files by name, the manifest among them. No digest is checked yet.

    Args:
        origin: A folder, a .tar (.gz, .bz2, .xz) or .zip archive, or "hf:owner/name@" and a commit of 40 hex digits.

    Raises:
        InputMissingError: There is nothing, or it cannot be read.
        UsageError: The hub is named without a commit, or the package that asks it is not installed.
        BundleError: It holds no bundle.
    """
    if origin.startswith(HUB):
        return _from_hub(origin)
    path = Path(origin)
    try:
        if path.is_dir():
            return _collect(origin, lambda name, _limit: _read_plain(path / name))
        if path.is_file():
            return _from_archive(path)
    except OSError as error:
        raise InputMissingError(f"{error.filename or path}: cannot be read: {error.strerror}; get it again") from error
    raise InputMissingError(f"{origin}: no such folder or archive; name one, or hf:owner/name@commit")


def _read_plain(path: Path) -> bytes:
    require_regular(path, BundleError, "name a folder that holds a bundle")
    return path.read_bytes()


def _collect(origin: str, read: Callable[[str, int], bytes]) -> dict[str, bytes]:
    """Read the manifest, and what it lists."""
    raw = read(MANIFEST, MAX_MANIFEST_BYTES)
    try:
        manifest = Manifest.from_bytes(raw)
    except BundleError as error:
        raise BundleError(f"{origin}: {error}") from error
    strange = [name for name in manifest.files if PurePosixPath(name).name != name or name in {"", ".", ".."}]
    if strange:
        raise BundleError(f"{origin}: {MANIFEST} names {strange[0]!r}, which is not a plain file name")
    return {MANIFEST: raw} | {name: read(name, MAX_FILE_BYTES) for name in manifest.files}


def _from_archive(path: Path) -> dict[str, bytes]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = {member.filename: member for member in archive.infolist()}
                _check_names(path, [member.filename for member in archive.infolist()])

                def open_member(name: str) -> IO[bytes] | None:
                    linked = stat.S_ISLNK(members[name].external_attr >> 16)
                    return None if linked or members[name].is_dir() else archive.open(members[name])

                return _from_members(path, members, open_member)
        with tarfile.open(path) as tar:
            names = {}
            for member in tar:
                names[member.name] = member
                if len(names) > _MAX_MEMBERS:
                    break
            _check_names(path, [member.name for member in tar.getmembers()])
            return _from_members(
                path, names, lambda name: tar.extractfile(names[name]) if names[name].isreg() else None
            )
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        found = " ".join(str(error).split())  # tarfile has a line for each compression that it tried
        raise BundleError(
            f"{path}: expected a .tar, .tar.gz, .tar.bz2, .tar.xz or .zip archive, found none that can be read "
            f"({found}); get it again, or name a folder"
        ) from error


def _check_names(path: Path, names: list[str]) -> None:
    """Refuse an archive of which two readers might see different files."""
    if len(names) > _MAX_MEMBERS:
        raise BundleError(f"{path}: has more than {_MAX_MEMBERS:,} members, and a bundle a few; pack the bundle alone")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BundleError(f"{path}: holds {twice} twice; pack the bundle again")


def _from_members(
    path: Path, members: Mapping[str, object], open_member: Callable[[str], IO[bytes] | None]
) -> dict[str, bytes]:
    """Read a bundle out of an archive that holds one, at its root or in a folder."""
    manifests = [name for name in members if PurePosixPath(name).name == MANIFEST]
    if len(manifests) != 1:
        raise BundleError(f"{path}: expected one {MANIFEST}, found {len(manifests)}; pack one bundle folder")
    parent = manifests[0].removesuffix(MANIFEST)

    def read(name: str, limit: int) -> bytes:
        file = open_member(f"{parent}{name}") if f"{parent}{name}" in members else None
        if file is None:
            raise BundleError(f"{path}: holds no plain file {parent}{name}; pack the bundle again")
        with file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise BundleError(f"{path}: {parent}{name} has more than {limit:,} bytes; it is no file of a bundle")
        return content

    return _collect(str(path), read)


def _from_hub(origin: str) -> dict[str, bytes]:
    found = _HUB_ORIGIN.fullmatch(origin)
    if found is None:
        raise UsageError(
            f"{origin}: expected hf:owner/name@ and a commit of 40 hex digits, so that it is the same bundle tomorrow; "
            "the repository's page lists its commits"
        )
    if find_spec("huggingface_hub") is None:
        raise UsageError(f"{origin}: the hub is asked by huggingface-hub; run: pip install 'ro32[hub]'")
    # Imported here: only this origin needs it, and a scoring host does without.
    from huggingface_hub import hf_hub_download  # noqa: PLC0415
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError  # noqa: PLC0415

    def fetch(name: str) -> Path:
        return Path(hf_hub_download(found["repository"], name, revision=found["revision"]))

    try:
        try:
            fetch(MANIFEST)
        except EntryNotFoundError:
            return _from_archive(fetch(HUB_ARCHIVE))
        return _collect(origin, lambda name, _limit: fetch(name).read_bytes())
    except EntryNotFoundError as error:
        raise BundleError(f"{origin}: holds no bundle: {_first_line(error)}") from error
    except (HfHubHTTPError, OSError, ValueError) as error:  # unreachable, unknown, not allowed
        raise InputMissingError(
            f"{origin}: cannot be fetched: {_first_line(error)}; check it, and try again"
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
