"""Existing labels files that a run would write again unchanged."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.labels import RowsDigest, outcomes_of
from ro32.data.parquet import read_batches
from ro32.errors import InputDataError, InputMissingError, ReadWriteError
from ro32.folder.manifest import Entry
from ro32.run.job import Job
from ro32.run.judge import decides_alike
from ro32.run.parts import RowCounts
from ro32.storage.client import UnreachableError
from ro32.storage.files import InputFile, for_arrow

_UNREADABLE = (OSError, ValueError, KeyError, pa.ArrowException, InputDataError, InputMissingError, ReadWriteError)


def counts_if_valid(job: Job, footer: dict[str, Any]) -> RowCounts | None:
    """Return the counts of labels that were made from the input of a job as it is now, its model and settings.

    None if labels with this footer were not, or if it counts other things than this version of ro32.
    """
    try:
        before = RowCounts.from_json(footer.get("rows"))
    except ValueError:
        return None
    valid = (
        not job.settings.no_reuse
        and before.rows == job.plan.rows
        and footer.get("input_digest") == job.plan.digest
        and footer.get("bundle_digest") == job.classifier.digest
        and footer.get("scoring_digest") == job.classifier.scoring_digest
        and decides_alike(job.classifier.decision, footer)
        and (footer.get("settings") or {}).get("columns") == asdict(job.settings.columns)
    )
    if not valid:
        return None
    return RowCounts(
        rows=before.rows,
        reused=before.rows - before.unreadable,
        unreadable=before.unreadable,
        positives=before.positives,
        uncertain=before.uncertain,
        unscored=before.unscored,
    )


def undamaged(job: Job, footer: dict[str, Any], name: str, labels: InputFile, listed: Entry | None) -> Entry | None:
    """Return the description of labels that are whole, else None.

    Args:
        job: What would be written in their place.
        footer: Their footer.
        name: Their name in the folder.
        labels: The file.
        listed: Its description in the folder's manifest. Without one, since a run was killed before it wrote it, every
            row is decoded, and compared with the footer.

    Raises:
        UnreachableError: A store failed, which says nothing of the labels.
    """
    try:
        if pq.read_schema(for_arrow(labels)).field("id").type != job.plan.id_type:
            return None
        if listed is not None and listed.vouches_for(name, labels, job.plan.rows):
            return listed
        entry = Entry.of(name, labels, job.plan.rows)
        return entry if entry == listed or _matches_footer(labels, footer, job.plan.rows) else None
    except UnreachableError:
        raise
    except _UNREADABLE:
        return None


def _matches_footer(labels: InputFile, footer: dict[str, Any], rows: int) -> bool:
    """Decode every row, page checksums included."""
    digest, found = RowsDigest(), 0
    for _, batch in read_batches(labels, pq.read_schema(for_arrow(labels)).names):
        digest.update(*outcomes_of(batch))
        found += batch.num_rows
    return found == rows and digest.hexdigest() == footer.get("rows_digest")
