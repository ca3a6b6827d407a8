"""The output contract: the columns of a labels file, which appears whole, by one rename, or not at all."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.papers import Papers
from ro32.data.parquet import read_batches
from ro32.data.writers import FOOTER_KEY, count_rows, form_of, open_writer
from ro32.errors import ReadWriteError
from ro32.model.bundle_json import Manifest
from ro32.model.operating_point import Decision
from ro32.model.outcomes import REASONS, UNCERTAIN, Hashes, Outcomes, pack
from ro32.storage import durable, strict_json
from ro32.storage.files import InputFile, Target, for_arrow
from ro32.storage.object_target import create_spool, upload

SCREENED = "screened"
"""Column that tells whether the screen of a cascade scored a paper, without the encoder."""


def schema(id_type: pa.DataType) -> pa.Schema:
    """Return the columns of a labels file whose ids are of this type."""
    return pa.schema(
        [
            ("id", id_type),
            ("label", pa.string()),
            ("score", pa.float32()),
            ("error", pa.string()),
            ("content_hash", pa.binary(16)),
            (SCREENED, pa.bool_()),
        ]
    )


def label_table(papers: Papers, outcomes: Outcomes, manifest: Manifest, decision: Decision) -> pa.Table:
    """Assemble the labels of n papers, given their outcomes: n rows in their order, with `schema(papers.ids.type)`."""
    unscored = outcomes.errors > 0
    uncertain = ~unscored & decision.uncertain(outcomes.scores)
    reasons = np.array([*REASONS, UNCERTAIN], dtype=object)[np.where(uncertain, len(REASONS), outcomes.errors)]
    positive = decision.positive(outcomes.scores)
    names = np.array([manifest.negative_label, manifest.positive_label], dtype=object)
    hashes = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(papers), [None, pa.py_buffer(papers.hashes)])
    return pa.table(
        [
            papers.ids,
            pa.array(names[positive.astype(np.intp)], pa.string(), mask=unscored | uncertain),
            pa.array(outcomes.scores, pa.float32(), mask=unscored),
            pa.array(reasons, pa.string()),
            hashes,
            pa.array(outcomes.screened, pa.bool_()),
        ],
        schema=schema(papers.ids.type),
    )


def outcomes_of(batch: pa.RecordBatch) -> tuple[Hashes, Outcomes]:
    """Read hashes and outcomes back from n rows of a labels file; older ones lack the column screened.

    Raises:
        ValueError, pyarrow.ArrowException: It is none: by a type, by a reason that this version does not know, or by a
            row that contradicts itself.
    """
    hashes = batch.column("content_hash")
    if hashes.type != pa.binary(16) or hashes.null_count:
        raise ValueError(f"expected content hashes of 16 bytes, found {hashes.type} with {hashes.null_count} nulls")
    scores = batch.column("score").cast(pa.float32()).to_numpy(zero_copy_only=False)
    reasons = batch.column("error")
    errors = np.zeros(len(batch), dtype=np.uint8)
    if reasons.null_count < len(batch):
        errors[:] = [0 if reason == UNCERTAIN else REASONS.index(reason) for reason in reasons.to_pylist()]
    if not np.array_equal(np.isnan(scores), errors > 0):
        raise ValueError("a row has neither score nor error, or both")
    screened = np.zeros(len(batch), dtype=np.bool_)
    if SCREENED in batch.schema.names:
        screened = batch.column(SCREENED).to_numpy(zero_copy_only=False).astype(np.bool_)
    if (screened & (errors > 0)).any():
        raise ValueError("a row was screened and has no score")
    values = np.frombuffer(hashes.buffers()[1], dtype="S16") if len(batch) else np.zeros(0, dtype="S16")
    return values[hashes.offset : hashes.offset + len(batch)], Outcomes(scores=scores, errors=errors, screened=screened)


class RowsDigest:
    """SHA-256 over hash, score, error and stage of every row: what later runs take over."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, hashes: Hashes, outcomes: Outcomes) -> None:
        """Add rows; how they are cut into calls makes no difference."""
        self._digest.update(pack(hashes, outcomes).tobytes())

    def hexdigest(self) -> str:
        """Return the digest of all rows so far, in hex."""
        return self._digest.hexdigest()


class LabelsFile:
    """A labels file in the making, under a temporary name beside its target; of one in a store, on the local disk.

    Used as a context manager: what is not committed when the block ends is removed, and the target is untouched. The
    target's suffix says which form the file has.

    Raises:
        OutputError: The folder does not exist or cannot be written to.
    """

    def __init__(self, target: Target, id_type: pa.DataType) -> None:
        self._target, self._form, self._rows = target, form_of(target), 0
        self._temporary, self._file = durable.create_beside(target) if isinstance(target, Path) else create_spool()
        self._writer = open_writer(self._file, schema(id_type), self._form)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # nothing left to remove after a commit; what stays, a run that ends well removes
            self._temporary.unlink()
        if not self._file.closed:  # not committed: what cannot be written any more is not wanted any more
            self._writer.abandon()
            with suppress(OSError):
                self._file.close()

    def append(self, table: pa.Table) -> None:
        """Write the rows of one part; raise OSError if the disk is full or failed."""
        self._writer.write(table)
        self._rows += table.num_rows

    def commit(self, rows: int, provenance: Mapping[str, Any]) -> None:
        """Make the file appear under its target's name, complete and on the disk, if it has as many rows as the input.

        Raises:
            OSError: The disk is full or failed; the target is as it was.
            ReadWriteError: The file does not read back as it was written, or is in place but not for sure on the disk,
                or a store failed.
            TryAgainError: Another run wrote it first, in a store.
        """
        self._writer.finish(json.dumps(provenance))
        self._file.flush()
        written = count_rows(self._temporary, self._form)
        if not rows == self._rows == written:
            raise ReadWriteError(
                f"{self._target}: expected {rows} rows, labelled {self._rows}, wrote {written}; nothing was published"
            )
        if isinstance(self._target, Path):
            durable.publish(self._temporary, self._file, self._target)
        else:
            upload(self._temporary, self._file, self._target)


def read_provenance(path: str | InputFile) -> dict[str, Any] | None:
    """Return the provenance in the footer of a labels file; None if there is none.

    Raises:
        OSError: The file cannot be read.
        pyarrow.ArrowException: It is not Parquet.
        ValueError: The footer's text is damaged.
    """
    file = Path(path) if isinstance(path, str) else path
    raw = (pq.read_metadata(for_arrow(file)).metadata or {}).get(FOOTER_KEY.encode())
    if raw is None:
        return None
    provenance = strict_json.parse(raw)
    if not isinstance(provenance, dict):
        raise ValueError(f"{path}: the footer's key {FOOTER_KEY} holds no object")  # noqa: TRY004 - damaged data
    if not all(isinstance(provenance.get(key) or {}, dict) for key in ("operating_point", "settings")):
        raise ValueError(f"{path}: the footer's key {FOOTER_KEY} holds no provenance")
    return provenance


def read_outcomes(path: InputFile) -> Iterator[tuple[Hashes, Outcomes]]:
    """Yield hashes and outcomes of a labels file in small batches; raise what `outcomes_of` and `read_batches` do."""
    names = ["content_hash", "score", "error"]
    if SCREENED in pq.read_schema(for_arrow(path)).names:
        names.append(SCREENED)
    for _, batch in read_batches(path, names):
        yield outcomes_of(batch)
