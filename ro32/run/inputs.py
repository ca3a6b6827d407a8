"""Resolves the named inputs to files: files, folders, patterns and URLs. Every skipped file is reported."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from ro32.data import parquet, sources
from ro32.data.compressed import NOT_READ, compression_of
from ro32.errors import InputDataError, InputMissingError, UsageError
from ro32.storage.client import StoreSettings
from ro32.storage.files import FileKind, InputFile, kind_of
from ro32.storage.names import DATA_SUFFIXES, HIDDEN, is_data
from ro32.storage.objects import find_objects
from ro32.storage.urls import is_url, place, redact, scheme_of

_UNFINISHED = frozenset({".tmp", ".part", ".partial", ".crdownload"})
"""How names end of what somebody is still writing."""
_TABLES = (
    ("_delta_log", "a Delta table"),
    (".hoodie", "a Hudi table"),
    ("metadata/*.metadata.json", "an Iceberg table"),
)
"""What folders have whose files hold rows that were removed since, too."""
_HEAD_BYTES = 64 << 10
_NAMED = 3

Warn = Callable[[Literal["not_read", "not_listed", "same_file"], str], None]
"""Takes the kind of a warning and a sentence."""


def _ignore(_kind: str, _sentence: str) -> None:
    """Take a warning that was given before, or is of no use."""


def find_inputs(inputs: Sequence[str], stores: StoreSettings, warn: Warn = _ignore) -> list[InputFile]:
    """Resolve inputs as `find_files` does, and URLs as `find_objects` does, which come behind all local files.

    Raises:
        UsageError: There is no input, or one is wrong.
    """
    if not inputs:  # as of a loop over files that found none: labels of no papers would replace those of all
        raise UsageError("expected an input, found none; name a file, a folder or a pattern")
    local = find_files([text for text in inputs if not is_url(text)], warn)
    return [*local, *find_objects([text for text in inputs if is_url(text)], stores)]


def find_files(inputs: Sequence[str], warn: Warn = _ignore) -> list[Path]:
    """Resolve inputs to files, sorted: each is a file, a folder (its files of papers, at any depth) or a pattern.

    A file is read once, however many names it has. `warn` is called where something is not read that may be data.

    Raises:
        UsageError: An input is an empty name, or a URL.
        InputMissingError: An input names nothing, or may not be looked at.
        InputDataError: A pipe, socket or device, or a table of another system, is among the files.
        ReadWriteError: The disk failed.
    """
    if "" in inputs:
        raise UsageError("expected the name of an input, found an empty one; name a file, a folder or a pattern")
    found: set[Path] = set()
    for text in inputs:
        try:
            found.update(_files_of(text, warn))
        except OSError as error:
            raise parquet.unreadable(Path(error.filename or text), error) from error
    return distinct(sorted(found), warn)


def input_folders(inputs: Sequence[str]) -> list[Path]:
    """List the local folders that inputs name, patterns' among them; raise what `find_files` does."""
    try:
        return [path for text in inputs if not is_url(text) for path in _named(text) if path.is_dir()]
    except OSError as error:
        raise parquet.unreadable(Path(error.filename or inputs[0]), error) from error


def _named(text: str) -> list[Path]:
    """Return the paths of an input: itself if it exists, else the matches of the pattern."""
    path = Path(text)
    if kind_of(path) is not None:  # also a file whose name looks like a pattern
        return [path]
    if scheme_of(text):
        place(text)  # refuses URLs of other kinds
        raise UsageError(f"{redact(text)}: expected local papers, found a URL; fetch them first, and name the file")
    if not glob.has_magic(text):
        return [path]
    hidden = () if path.name.startswith(HIDDEN) else HIDDEN
    matches = (Path(file) for file in glob.glob(text, recursive=True))  # noqa: PTH207 - an absolute pattern is allowed here
    return sorted(match for match in matches if not hidden or not match.name.startswith(hidden))


def _not_listed(text: str) -> Iterator[tuple[str, OSError]]:
    """Yield the folders in which `glob` looks for a pattern and that cannot be listed: it passes over them."""
    parts = () if kind_of(Path(text)) is not None else Path(text).parts
    for end in range(1, len(parts)):
        if glob.has_magic(parts[end]):
            for folder in glob.glob(os.path.join(*parts[:end], ""), recursive=True):  # noqa: PTH118, PTH207 - a slash at the end
                try:
                    os.scandir(folder).close()
                except OSError as error:
                    yield folder, error


def _files_of(text: str, warn: Warn) -> list[Path]:
    files: list[Path] = []
    passed_over: list[Path] = []
    for folder, error in _not_listed(text):
        warn("not_listed", f"what {text} means in {folder} is not read: {error.strerror}; check its permissions")
    for path in _named(text):
        match kind_of(path):
            case FileKind.FOLDER:
                below = list(_visible_files(path))
                files += (file for file in below if is_data(file.name))
                passed_over += (file for file in below if not is_data(file.name) and _may_be_data(file))
            case FileKind.FILE:
                files.append(path)
            case None:
                raise InputMissingError(f"input {text} does not exist; name a file, a folder or a pattern")
            case FileKind.DANGLING:
                raise InputMissingError(f"{path} is a link to nothing; correct or remove it")
            case special:
                raise _not_regular(path, special)
    names = ", ".join(map(str, passed_over[:_NAMED])) + (", ..." if len(passed_over) > _NAMED else "")
    if not files:
        kind = f"folder {text} holds no file of papers" if Path(text).is_dir() else f"no file matches {text}"
        raise InputMissingError(
            f"{kind}, whose name ends in {', '.join(sorted(DATA_SUFFIXES))}"
            + (f"; {names} may be one: name it explicitly" if passed_over else "; name a file, a folder or a pattern")
        )
    if passed_over:
        warn(
            "not_read",
            f"{len(passed_over):,} {'file' if len(passed_over) == 1 else 'files'} below {text} may be data but are not "
            f"read because of their names: {names}; rename them, or name them explicitly",
        )
    return files


def _visible_files(folder: Path) -> Iterator[Path]:
    """Yield all files of a folder at any depth, hidden ones and hidden folders aside, and each folder once.

    Unlike `Path.rglob` this follows links to folders, and skips no folder that cannot be read: its papers would be
    missing without a word.
    """
    seen: set[tuple[int, int]] = set()
    folders = [folder]
    while folders:
        here = folders.pop()
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        _refuse_tables(here)
        with os.scandir(here) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(HIDDEN)]
        for entry in visible:
            path = here / entry.name
            if entry.is_dir():
                folders.append(path)
            elif entry.is_file():
                yield path
            else:
                kind = kind_of(path)
                if kind is FileKind.DANGLING and is_data(path.name):
                    raise InputMissingError(f"{path} is a link to nothing; correct or remove it")
                if kind is not FileKind.DANGLING and kind is not None:
                    raise _not_regular(path, kind)


def _may_be_data(path: Path) -> bool:
    """Return by its content whether a file that a folder's reader skips may hold papers."""
    if path.suffix.lower() in _UNFINISHED:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except (PermissionError, FileNotFoundError) as error:
        return isinstance(error, PermissionError)  # else somebody removed it meanwhile
    if head.startswith((b"PAR1", b"PARE", b"ARROW1", b"ORC", b"Obj\x01", *NOT_READ)) or compression_of(head):
        return True
    first, _, second = (line.strip() for line in head.partition(b"\n"))
    if first.startswith(b"["):
        return (first[1:].lstrip() or second).startswith(b"{")
    if first.startswith(b"{"):
        return first.endswith(b"}") and second.startswith(b"{")
    return b"title" in first.lower() and sources.recognize(head) is sources.Format.DELIMITED


def _refuse_tables(folder: Path) -> None:
    for sign, kind in _TABLES:
        if next(folder.glob(sign), None) is not None:
            raise InputDataError(
                f"{folder} is {kind}: its files hold rows that were replaced or removed since, too; write the current "
                "version as Parquet files, and name these"
            )


def _not_regular(path: Path, kind: FileKind) -> InputDataError:
    advice = "name a file, or - and pass it to stdin" if kind is FileKind.PIPE else "name a file"
    return InputDataError(f"{path}: expected a file, found {kind}; papers are read more than once; {advice}")


def distinct(files: Sequence[Path], warn: Warn) -> list[Path]:
    """Return files without those that are another one under another name."""
    kept: dict[tuple[int, int] | Path, Path] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError as error:
            raise parquet.unreadable(file, error) from error
        mark = (status.st_dev, status.st_ino) if status.st_ino else file.resolve()
        if mark in kept:
            warn("same_file", f"{file} is {kept[mark]} under another name; it is read once")
        else:
            kept[mark] = file
    return list(kept.values())
