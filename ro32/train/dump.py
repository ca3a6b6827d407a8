"""Reads a dump of arXiv metadata, Parquet or the Kaggle snapshot's JSON lines, in frames of bounded size."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ro32.errors import InputDataError, InputMissingError

COLUMNS = ("id", "title", "abstract", "categories")
UPDATE_COLUMN = "update_date"
"""Decides which of several rows of one paper is the latest; a dump without it is taken in row order."""
ROWS_PER_FRAME = 2_048
BYTES_PER_READ = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Dump:
    """A dump on disk, measured once.

    Attributes:
        path: One file.
        format: By its content, not by its name.
        rows: Papers in it, duplicates included.
        digest: BLAKE2b-128 of its bytes, in hexadecimal.
    """

    path: Path
    format: str
    rows: int
    digest: str

    @classmethod
    def open(cls, path: Path) -> "Dump":
        """Recognize, digest and count a dump in one sequential read.

        Raises:
            InputMissingError: No such file, or it cannot be read.
            InputDataError: Neither Parquet nor JSON lines, or a needed column is missing.
        """
        digest = hashlib.blake2b(digest_size=16)
        lines, last, head = 0, b"\n", b""
        try:
            with path.open("rb") as file:
                while piece := file.read(BYTES_PER_READ):
                    head = head or piece[:4096]
                    digest.update(piece)
                    lines += piece.count(b"\n")
                    last = piece[-1:]
        except OSError as error:
            raise InputMissingError(f"{path}: cannot be read: {error.strerror}; give a readable file") from error
        if head.startswith(b"PAR1"):
            return cls(path=path, format="parquet", rows=_parquet_rows(path), digest=digest.hexdigest())
        if head.lstrip().startswith(b"{"):
            return cls(path=path, format="jsonl", rows=lines + (last != b"\n"), digest=digest.hexdigest())
        raise InputDataError(f"{path}: neither Parquet nor JSON lines; give a dump of arXiv metadata in one of them")

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the dump in row order, as frames of the columns id, title, abstract, categories, update_date.

        All are strings; a null text is left null. Memory is bounded by one frame.

        Raises:
            InputDataError: A damaged page, a line that is no JSON object, or a column of an unusable type.
        """
        frames = _parquet_frames(self.path) if self.format == "parquet" else _jsonl_frames(self.path)
        for frame in frames:
            if frame["id"].null_count():
                raise InputDataError(f"{self.path}: a paper has no id; every paper needs one")
            yield frame


def _parquet_rows(path: Path) -> int:
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise InputDataError(f"{path}: damaged Parquet: {error}") from error
    names = metadata.schema.to_arrow_schema().names
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputDataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(names)}")
    return int(metadata.num_rows)


def _parquet_frames(path: Path) -> Iterator[pl.DataFrame]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            has_update = UPDATE_COLUMN in file.schema_arrow.names
            columns = [*COLUMNS, UPDATE_COLUMN] if has_update else list(COLUMNS)
            for batch in file.iter_batches(batch_size=ROWS_PER_FRAME, columns=columns):
                batch.validate(full=True)
                frame = pl.DataFrame(batch)
                if not has_update:
                    frame = frame.with_columns(pl.lit("").alias(UPDATE_COLUMN))
                yield frame.select(pl.col(*COLUMNS, UPDATE_COLUMN).cast(pl.String))
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise InputDataError(f"{path}: cannot be decoded: {error}") from error


def _jsonl_frames(path: Path) -> Iterator[pl.DataFrame]:
    schema = dict.fromkeys((*COLUMNS, UPDATE_COLUMN), pl.String())
    first_line = 1
    with path.open("rb") as file:
        while lines := file.readlines(BYTES_PER_READ):
            try:
                frame = pl.read_ndjson(b"".join(lines), schema=schema)
            except pl.exceptions.PolarsError as error:
                where = f"lines {first_line} to {first_line + len(lines) - 1}"
                raise InputDataError(f"{path}: {where}: not one JSON object a line: {error}") from error
            first_line += len(lines)
            yield from frame.iter_slices(ROWS_PER_FRAME)
