"""Reads a dump of arXiv metadata, in any format of `ro32.data.sources`, in frames of bounded size."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from ro32.data import sources
from ro32.data.categories import split_categories
from ro32.data.dates import CREATED, UPDATED
from ro32.data.parquet import ERRORS_COLUMN, unreadable
from ro32.errors import InputDataError, InputMissingError
from ro32.storage.files import require_regular

COLUMNS = ("id", "title", "abstract", "categories")
TEACHER_COLUMN = "teacher"
"""Log-odds of a model that was fitted on other papers, where a dump has them, as `ro32.cli.sample` writes them."""
_TEXTS = ("title", "abstract")


@dataclass(frozen=True, kw_only=True)
class Dump:
    """A dump on disk, one file, measured once."""

    path: Path
    columns: tuple[str, ...]  # those that are read
    rows: int  # duplicates included
    digest: str  # BLAKE2b-128 of its bytes, in hexadecimal

    @classmethod
    def open(cls, path: Path, *, labelled: bool = True) -> Self:
        """Recognize, digest and count a dump, one file; without labels its categories are not read.

        Raises:
            InputMissingError: No such file, or it cannot be read, or it is a device, pipe, socket or folder.
            InputDataError: It has none of the forms that are known, or is damaged, or lacks a column.
            ReadWriteError: The disk failed.
        """
        require_regular(path, InputMissingError, "name one file")
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            raise unreadable(path, error) from error
        found = sources.survey(path)
        names, needed = found.schema.names, COLUMNS if labelled else COLUMNS[:-1]
        missing = [name for name in needed if name not in names]
        if missing:
            raise InputDataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(names)}; rename them")
        more = (name for name in (UPDATED, CREATED, TEACHER_COLUMN) if name in names)
        return cls(path=path, columns=(*needed, *more), rows=found.rows, digest=digest)

    def frames(self, *, texts: bool = True) -> Iterator[pl.DataFrame]:
        """Yield the dump in row order, in frames: id, title, abstract, categories, update_date, created, teacher.

        All are strings but teacher, which is Float32, null if there is none; a null text is left null, and dates and
        categories are empty if the dump has none. Title and abstract are not read unless asked for.
        Memory is bounded by one frame.

        Raises:
            InputDataError: It is damaged, a column is of an unusable type, or a paper has no id.
            ReadWriteError: The disk failed.
        """
        columns = [name for name in self.columns if texts or name not in _TEXTS]
        strings = [name for name in columns if name != TEACHER_COLUMN]
        teacher = pl.col(TEACHER_COLUMN) if TEACHER_COLUMN in columns else pl.lit(None).alias(TEACHER_COLUMN)
        absent = [pl.lit("").alias(name) for name in ("categories", UPDATED, CREATED) if name not in columns]
        for start, batch in sources.read_batches(self.path, columns, lists=["categories"]):
            if ERRORS_COLUMN in batch.schema.names:
                faults = sources.survey(self.path, columns=columns).faults
                fault = faults or f"{self.path}: a row after {start:,} cannot be read"
                raise InputDataError(f"{fault}; correct the dump")
            try:
                frame = pl.DataFrame(batch)
                if "categories" in columns:
                    categories = split_categories(frame["categories"], f"{self.path}", start).list.join(" ")
                    frame = frame.with_columns(categories)
                frame = frame.select(pl.col(strings).cast(pl.String), *absent, teacher.cast(pl.Float32))
            except pl.exceptions.PolarsError as error:
                raise InputDataError(f"{self.path}: a column is of another type: {error}; convert it") from error
            if frame["id"].null_count():
                raise InputDataError(f"{self.path}: a paper has no id; every paper needs one")
            yield frame
