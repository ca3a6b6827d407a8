"""The output contract: what a labels file holds, and how it appears: whole, by one rename, or not at all."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.bundle import Manifest
from ro32.errors import OutputError, ReadWriteError
from ro32.papers import Papers

FOOTER_KEY = "ro32"
"""Key of the Parquet footer under which the provenance stands, as JSON."""

EMPTY_TEXT = "empty_text"
"""Neither title nor abstract holds a token of text."""
NON_FINITE = "non_finite"
"""The model returned infinity or NaN for this paper."""


def schema(id_type: pa.DataType) -> pa.Schema:
    """Return the columns of a labels file whose ids are of this type."""
    return pa.schema(
        [
            ("id", id_type),
            ("label", pa.string()),
            ("score", pa.float32()),
            ("error", pa.string()),
            ("content_hash", pa.binary(16)),
        ]
    )


def label_table(
    papers: Papers, scores: Sequence[float | None], errors: Sequence[str | None], manifest: Manifest
) -> pa.Table:
    """Assemble the labels of one part.

    Args:
        papers: n papers.
        scores: n probabilities of the positive label; None where a paper was not scored.
        errors: n reasons why a paper was not scored; None where it was.
        manifest: Names the labels and the threshold.

    Returns:
        n rows in the papers' order, with `schema(papers.ids.type)`.
    """
    labels = [
        None if score is None else manifest.positive_label if score >= manifest.threshold else manifest.negative_label
        for score in scores
    ]
    fields = schema(papers.ids.type)
    values = [labels, scores, errors, papers.hashes]
    arrays = [pa.array(column, item.type) for column, item in zip(values, list(fields)[1:], strict=True)]
    return pa.table([papers.ids, *arrays], schema=fields)


class LabelsFile:
    """A labels file in the making, under a temporary name beside its target.

    Used as a context manager: what is not committed when the block ends is removed, and the target is untouched.

    Args:
        target: Where the file is to appear; a symbolic link is followed.
        id_type: Type of the ids.

    Raises:
        OutputError: The folder does not exist or cannot be written to.
    """

    def __init__(self, target: Path, id_type: pa.DataType) -> None:
        self._target = target.resolve()
        self._temporary = self._target.with_name(f".{self._target.name}.{secrets.token_hex(4)}.tmp")
        self._rows = 0
        try:
            self._file = self._temporary.open("xb")
        except OSError as error:
            raise OutputError(
                f"{target}: cannot be created: {error.strerror}; name a file in a folder that exists and is writable"
            ) from error
        self._writer = pq.ParquetWriter(
            self._file, schema(id_type), compression="zstd", write_page_checksum=True, write_statistics=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.unlink(missing_ok=True)  # nothing left to remove after a commit
        if not self._file.closed:  # not committed: what cannot be written any more is not wanted any more
            with suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._writer.is_open = False  # else its destructor tries again, and complains
            self._file.close()

    def append(self, table: pa.Table) -> None:
        """Write the rows of one part.

        Raises:
            ReadWriteError: The disk is full or failed.
        """
        try:
            self._writer.write_table(table)
        except OSError as error:
            raise self._failure(error) from error
        self._rows += table.num_rows

    def commit(self, rows: int, provenance: Mapping[str, Any]) -> None:
        """Make the file appear under its target's name, complete and on the disk.

        Args:
            rows: Rows of the input; as many must have been appended.
            provenance: What the footer tells about the run; JSON values.

        Raises:
            ReadWriteError: The disk is full or failed, or the file does not read back as it was written.
        """
        try:
            self._writer.add_key_value_metadata({FOOTER_KEY: json.dumps(provenance)})
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            written = pq.read_metadata(self._temporary).num_rows
            if not rows == self._rows == written:
                raise ReadWriteError(
                    f"{self._target}: expected {rows} rows, labelled {self._rows}, wrote {written}; "
                    "nothing was published"
                )
            self._temporary.replace(self._target)
            _sync_folder(self._target.parent)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> ReadWriteError:
        return ReadWriteError(f"{self._target}: writing failed: {error.strerror or error}; nothing was published")


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_provenance(path: Path) -> dict[str, Any] | None:
    """Return what the footer of a labels file tells about the run that made it; None where it tells nothing."""
    raw = (pq.read_metadata(path).metadata or {}).get(FOOTER_KEY.encode())
    return None if raw is None else json.loads(raw)
