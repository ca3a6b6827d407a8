"""The plan of a run: input files -> parts, a pure function of the input and of the part size."""

import glob
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from ro32.data import parquet, sources
from ro32.data.papers import Columns, Part, check_schema, is_text
from ro32.errors import InputDataError, InputMissingError, TryAgainError, UsageError
from ro32.storage.client import StoreSettings
from ro32.storage.files import Identity, InputFile, changes_reported, identity_of, is_unchanged, require_regular
from ro32.storage.objects import find_objects
from ro32.storage.urls import is_url

DEFAULT_PART_ROWS = 10_000
_HIDDEN = (".", "_")
"""How names begin that are not part of a dump: left-overs of whatever wrote it, and of runs of ours."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One input file as it was when the run was planned.

    Attributes:
        path: The file.
        rows: Rows that it announces.
        id_type: Type of its ids.
        identity: What tells it from what may come in its place.
    """

    path: InputFile
    rows: int
    id_type: pa.DataType
    identity: Identity


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will read: a pure function of the input and of `part_rows`.

    Attributes:
        sources: The input files in order.
        columns: Names of the columns to read.
        id_type: Type of the ids in the output; the files' common type.
        parts: The parts in input order.
    """

    sources: tuple[Source, ...]
    columns: Columns
    id_type: pa.DataType
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Rows of the whole input."""
        return sum(source.rows for source in self.sources)

    @property
    def digest(self) -> str:
        """SHA-256 in hex of names, sizes, times and rows of the input files, to tell inputs apart."""
        sources = [(source.path.name, source.rows, *source.identity[2:]) for source in self.sources]
        return hashlib.sha256(repr(sources).encode()).hexdigest()

    @cached_property
    def by_path(self) -> Mapping[InputFile, Source]:
        """The input files by path."""
        return {source.path: source for source in self.sources}

    def check_unchanged(self, after: Part | None = None) -> None:
        """Check that the input is still the one that was planned.

        Args:
            after: The part that was just read. Only its own file is looked at then, as else a run over thousands of
                files would look at each of them thousands of times; all are before anything is published.

        Raises:
            TryAgainError: A file was written to, replaced or removed.
            UnreachableError: A store failed.
        """
        for source in self.sources if after is None else (self.by_path[after.path],):
            if not is_unchanged(source.path, source.identity):
                raise TryAgainError(f"{source.path} changed while it was read; run again when it is complete")

    @contextmanager
    def changes_reported(self) -> Iterator[None]:
        """Report an input as changed, and not as damaged or missing, where it changed since it was planned.

        Raises:
            TryAgainError: It changed.
        """
        try:
            yield
        except (InputDataError, InputMissingError):
            self.check_unchanged()
            raise


def find_files(inputs: Sequence[str]) -> list[Path]:
    """Resolve inputs to files: each is a file, a folder (its *.parquet files, at any depth) or a glob pattern.

    Returns:
        Distinct files, sorted by name.

    Raises:
        InputMissingError: An input names nothing, or may not be looked at, or is a device, pipe or socket.
        ReadWriteError: The disk failed.
    """
    found: set[Path] = set()
    for text in inputs:
        try:
            files, wanted = _files_of(text)
        except OSError as error:
            raise parquet.unreadable(Path(error.filename or text), error) from error
        if not files:
            raise InputMissingError(f"{wanted}; name a file, a folder or a pattern")
        found.update(files)
    for path in found:
        require_regular(path, InputMissingError, "name a file, or - for papers that come through a pipe")
    return sorted(found)


def _files_of(text: str) -> tuple[list[Path], str]:
    """Return the files that an input names, and what to say where there are none."""
    path = Path(text)
    if path.is_dir():
        return files_below(path), f"folder {text} holds no *.parquet file"
    if path.exists():  # also a file whose name looks like a pattern
        return [path], ""
    files = [Path(file) for file in glob.glob(text, recursive=True) if Path(file).is_file()]  # noqa: PTH207 - an absolute pattern is allowed here
    return files, f"no file matches {text}" if glob.has_magic(text) else f"input {text} does not exist"


def files_below(folder: Path) -> list[Path]:
    """List the *.parquet files of a folder at any depth, hidden ones and hidden folders aside.

    Unlike `Path.rglob` this passes over no folder that cannot be read: its papers would be missing without a word.
    """
    files: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_give_up):
        folders[:] = [name for name in folders if not name.startswith(_HIDDEN)]
        files += [Path(parent, name) for name in names if name.endswith(".parquet") and not name.startswith(_HIDDEN)]
    return files


def _give_up(error: OSError) -> NoReturn:
    raise error


def find_inputs(inputs: Sequence[str], stores: StoreSettings) -> list[InputFile]:
    """Resolve inputs as `find_files` does, and URLs to objects in stores, which come behind all local files.

    Args:
        inputs: Files, folders, patterns and URLs of any of these.
        stores: How stores are asked.

    Raises:
        UsageError: The package for stores is missing, or a URL is none or not allowed.
        InputMissingError: An input names nothing, or may not be looked at.
        ReadWriteError: The disk or the store failed.
    """
    local = find_files([text for text in inputs if not is_url(text)])
    return [*local, *find_objects([text for text in inputs if is_url(text)], stores)]


def make_plan(
    files: Sequence[InputFile],
    columns: Columns,
    part_rows: int = DEFAULT_PART_ROWS,
    max_expansion: float = parquet.DEFAULT_MAX_EXPANSION,
) -> Plan:
    """Read what the input files announce and cut them into parts.

    Args:
        files: Input files in order.
        columns: Names of the columns to read.
        part_rows: Rows of a part; the last one of a file may be shorter.
        max_expansion: Uncompressed bytes that a file may announce for each byte it has.

    Raises:
        InputMissingError: A file does not exist or may not be read.
        InputDataError: A file has none of the forms that are known, or lacks a column, or a column is of the wrong
            type, or it announces too many bytes.
        ReadWriteError: The disk failed.
    """
    if part_rows < 1:
        raise UsageError(f"a part has at least 1 row, found {part_rows}")
    sources = tuple(_describe(path, columns, max_expansion) for path in files)
    starts = [(source, start) for source in sources for start in range(0, source.rows, part_rows)]
    return Plan(
        sources=sources,
        columns=columns,
        id_type=_common_type(sources),
        parts=tuple(
            Part(index=index, path=source.path, start=start, rows=min(part_rows, source.rows - start))
            for index, (source, start) in enumerate(starts)
        ),
    )


def _describe(path: InputFile, columns: Columns, max_expansion: float) -> Source:
    try:
        identity = identity_of(path)  # before the first byte is read, so that no later change goes unnoticed
    except OSError as error:
        raise parquet.unreadable(path, error) from error
    with changes_reported(path):
        schema, rows = sources.read_schema(path, max_expansion)
        check_schema(path, schema, columns)
    return Source(path=path, rows=rows, id_type=schema.field(columns.id).type, identity=identity)


def _common_type(sources: Sequence[Source]) -> pa.DataType:
    types = {source.id_type for source in sources}
    if len(types) == 1:
        return next(iter(types))
    if all(is_text(item) for item in types):
        return pa.large_string()
    if all(pa.types.is_integer(item) for item in types):
        return pa.int64()
    odd = next(source for source in sources if source.id_type != sources[0].id_type)
    raise InputDataError(
        f"ids differ in type: {sources[0].id_type} in {sources[0].path}, {odd.id_type} in {odd.path}; "
        "score the files apart or convert one"
    )
