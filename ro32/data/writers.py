"""Writers of labels files: Parquet, or CSV, TSV and JSON lines for programs that cannot read it.

Only Parquet has a place for the provenance, so only labels in Parquet can be reused. The others have the same rows
and columns in the same order, with content hashes in hexadecimal and null as an empty field or as null.
"""

import csv
import re
from contextlib import suppress
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ro32.errors import UsageError
from ro32.storage.files import InputFile, Target, for_arrow
from ro32.storage.urls import ObjectUrl

FOOTER_KEY = "ro32"
"""Key of the Parquet footer under which the provenance stands, as JSON."""
WRITER_OPTIONS: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
"""How every Parquet file of ours is written; a reader that checks checksums notices a flipped bit."""


class Form(StrEnum):
    """What a labels file is."""

    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"
    JSON_LINES = "jsonl"


_SUFFIXES = {".csv": Form.CSV, ".tsv": Form.TSV, ".jsonl": Form.JSON_LINES, ".ndjson": Form.JSON_LINES}
_SEPARATORS = {Form.CSV: ",", Form.TSV: "\t"}
_OTHER_FORMS = re.compile(
    r"\.(json|jl|jsonlines|txt|log|tab|psv|html?|xml|ya?ml|md|pdf|docx?|xlsx?|ods|arrow|feather|ipc|orc|avro|h5|hdf5"
    r"|np[yz]|pkl|pickle|db|sql|sqlite3?|duckdb|gz|gzip|bz2|zstd?|zip|xz|lz4|snappy|br|z|tar|tgz|7z|rar)"
)
"""Suffixes that promise what is not written."""


def check_name(target: Path | ObjectUrl) -> None:
    """Raise UsageError for a labels file whose name promises a form that is not written."""
    suffix = PurePath(target.name).suffix.lower()
    if _OTHER_FORMS.fullmatch(suffix):
        raise UsageError(
            f"{target}: labels cannot be written as {suffix}; name a file that ends in .parquet, .csv, .tsv or .jsonl"
        )


def form_of(target: Target | InputFile) -> Form:
    """Return the form of a labels file: what its suffix says, and Parquet for every suffix that says nothing."""
    return _SUFFIXES.get(target.suffix.lower(), Form.PARQUET)


class ParquetWriter:
    """Writes Parquet, a row group per call, and the provenance into its footer."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(file, schema, **WRITER_OPTIONS)

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        self._writer.write_table(table)

    def finish(self, provenance: str) -> None:
        """Write the footer."""
        self._writer.add_key_value_metadata({FOOTER_KEY: provenance})
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer, whatever the state of the file; what cannot be written any more is not needed."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False  # else its destructor tries again, and complains


class TextWriter:
    """Writes CSV, TSV or JSON lines. There is no place for the provenance."""

    def __init__(self, file: BinaryIO, schema: pa.Schema, form: Form) -> None:
        self._file, self._form = file, form
        if form in _SEPARATORS:
            file.write(f"{_SEPARATORS[form].join(schema.names)}\n".encode())

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        frame = pl.DataFrame(table).with_columns(pl.col("content_hash").bin.encode("hex"))
        if self._form in _SEPARATORS:
            frame.write_csv(self._file, include_header=False, separator=_SEPARATORS[self._form])
        else:
            frame.write_ndjson(self._file)

    def finish(self, provenance: str) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing: the caller, which opened the file, closes it."""


def open_writer(file: BinaryIO, schema: pa.Schema, form: Form) -> ParquetWriter | TextWriter:
    """Begin to write labels into an open file."""
    return ParquetWriter(file, schema) if form is Form.PARQUET else TextWriter(file, schema, form)


def count_rows(path: Path, form: Form) -> int:
    """Count the rows of a file that was written, by reading it."""
    if form is Form.PARQUET:
        return int(pq.read_metadata(for_arrow(path)).num_rows)
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        if form in _SEPARATORS:
            return sum(1 for _ in csv.reader(file, delimiter=_SEPARATORS[form])) - 1
        return sum(1 for _ in file)
