"""The plan of a run: input files -> parts, a pure function of the input and of the part size."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from ro32.data import parquet, sources
from ro32.data.dates import date_columns
from ro32.data.papers import Columns, Part, check_schema
from ro32.data.utf8 import is_text
from ro32.errors import InputDataError, InputMissingError, TryAgainError, few, nearest
from ro32.storage.files import Identity, InputFile, changes_reported, identity_of, is_unchanged

DEFAULT_PART_ROWS = 10_000
_CATEGORIES = "categories"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One input file as it was when the run was planned.

    Attributes:
        path: The file.
        rows: Rows that it announces.
        id_type: Type of its ids.
        identity: What tells it from what may come in its place.
        faults: Which of its rows cannot be read, in a sentence, as far as is known; empty if all can.
        truth: Columns that say what its papers are listed in and when they appeared; none where it has no categories.
    """

    path: InputFile
    rows: int
    id_type: pa.DataType
    identity: Identity
    faults: str = ""
    truth: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will read: a pure function of the input and of `part_rows`. The type of ids is common to all files."""

    sources: tuple[Source, ...]
    columns: Columns
    id_type: pa.DataType
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Rows of the whole input."""
        return sum(source.rows for source in self.sources)

    @property
    def faults(self) -> list[str]:
        """The faults of the files that have some."""
        return [source.faults for source in self.sources if source.faults]

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
            after: The part that was just read. Only its own file is checked then, since a run over thousands of files
                would check each of them thousands of times; all are checked before anything is published.

        Raises:
            TryAgainError: A file was written to, replaced or removed.
        """
        for source in self.sources if after is None else (self.by_path[after.path],):
            if not is_unchanged(source.path, source.identity):
                raise TryAgainError(f"{source.path} changed while it was read; run again when it is complete")

    @contextmanager
    def changes_reported(self) -> Iterator[None]:
        """Raise TryAgainError, and not that an input is damaged or missing, where it changed since it was planned."""
        try:
            yield
        except (InputDataError, InputMissingError):
            self.check_unchanged()
            raise


def make_plan(
    files: Sequence[InputFile],
    columns: Columns,
    part_rows: int = DEFAULT_PART_ROWS,
    max_expansion: float = parquet.DEFAULT_MAX_EXPANSION,
    categories: str | None = None,
) -> Plan:
    """Read the number of rows of the input files, and cut them into parts.

    Args:
        files: Input files in order.
        columns: Names of the columns to read.
        part_rows: Rows of a part; the last one of a file may be shorter.
        max_expansion: Uncompressed bytes that a file may announce for each byte it has.
        categories: Column of what the papers are listed in; where none is named, "categories" if that is there.

    Raises:
        InputMissingError: A file does not exist or may not be read.
        InputDataError: A file has none of the forms that are known, or lacks a column, or a column is of the wrong
            type, or it announces too many bytes.
        ReadWriteError: The disk failed.
    """
    sources = tuple(_describe(path, columns, max_expansion, categories) for path in files)
    starts = [(source, start) for source in sources for start in range(0, source.rows, part_rows)]
    parts = tuple(
        Part(index=index, path=source.path, start=start, rows=min(part_rows, source.rows - start))
        for index, (source, start) in enumerate(starts)
    )
    return Plan(sources=sources, columns=columns, id_type=_common_type(sources), parts=parts)


def _describe(path: InputFile, columns: Columns, max_expansion: float, categories: str | None) -> Source:
    try:
        identity = identity_of(path)  # before the first byte is read, so that no later change goes unnoticed
    except OSError as error:
        raise parquet.unreadable(path, error) from error
    with changes_reported(path):
        found = sources.survey(path, max_expansion, columns.names)
        check_schema(path, found.schema, columns)
        truth = _truth_columns(path, found.schema, categories)
    id_type = found.schema.field(columns.id).type
    return Source(path=path, rows=found.rows, id_type=id_type, identity=identity, faults=found.faults, truth=truth)


def _truth_columns(path: InputFile, schema: pa.Schema, named: str | None) -> tuple[str, ...]:
    """Return the column of a file's categories (as named, else `_CATEGORIES`) and those of dates; none without."""
    column = named or _CATEGORIES
    if schema.names.count(column) != 1:
        if named is None:
            return ()
        raise InputDataError(
            f"{path}: expected a column {named!r} of categories, found {few(schema.names)}"
            f"{nearest(named, schema.names)}; name another with --categories-column, or leave that out"
        )
    return column, *(name for name in date_columns(schema) if name != column)


def _common_type(sources: Sequence[Source]) -> pa.DataType:
    typed = [source for source in sources if not pa.types.is_null(source.id_type)]
    types = {source.id_type for source in typed}
    if len(types) < 2:  # noqa: PLR2004 - one type, or ids that are all null
        return next(iter(types), pa.string())
    if all(is_text(item) for item in types):
        return pa.large_string()
    if all(pa.types.is_unsigned_integer(item) for item in types):
        return pa.uint64()
    if all(pa.types.is_integer(item) for item in types):
        return pa.int64()  # an id beyond it is bad input, found where it is read
    first, *others = typed
    differing = [source for source in others if source.id_type != first.id_type]
    odd = next((source for source in differing if is_text(source.id_type) != is_text(first.id_type)), differing[0])
    raise InputDataError(
        f"ids differ in type: {first.id_type} in {first.path}, {odd.id_type} in {odd.path}; "
        "score the files apart or convert one"
    )
