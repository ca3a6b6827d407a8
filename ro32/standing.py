"""Labels that stand in a folder already: which of them are just what a run would write again."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.errors import InputDataError, InputMissingError, ReadWriteError
from ro32.job import Job
from ro32.labels import RowsDigest, outcomes_of, read_provenance
from ro32.manifest import Entry
from ro32.parquet import read_batches

_UNREADABLE = (OSError, ValueError, KeyError, pa.ArrowException, InputDataError, InputMissingError, ReadWriteError)


def footer_of(path: Path) -> dict[str, Any] | None:
    """Return what the footer of a labels file tells; None where there is none that can be read."""
    with suppress(OSError, ValueError, pa.ArrowException):
        return read_provenance(path)
    return None


def still_valid(job: Job, told: dict[str, Any] | None) -> bool:
    """Tell whether labels were made from the input of a job as it is now, with its model and settings.

    Args:
        job: What would be written.
        told: What the footer of the labels tells.
    """
    if told is None or job.settings.no_reuse:
        return False
    decision, screen = job.classifier.decision, job.screen
    return (
        told.get("input_digest") == job.plan.digest
        and told.get("bundle_digest") == job.classifier.digest
        and told.get("scoring_digest") == job.classifier.scoring_digest
        and told.get("threshold") == decision.threshold
        and (told.get("operating_point") or {}).get("abstain") == (list(decision.abstain) if decision.abstain else None)
        and (told.get("cascade") or {}).get("digest") == (None if screen is None else screen.digest)
        and (told.get("settings") or {}).get("columns") == asdict(job.settings.columns)
    )


def undamaged(job: Job, told: dict[str, Any], folder: Path, name: str, listed: Entry | None) -> Entry | None:
    """Return the description of labels that are whole, else None.

    Args:
        job: What would be written in their place.
        told: What their footer tells.
        folder: The folder of labels.
        name: The file within it.
        listed: What the folder's manifest says of it. Where that says nothing, since a run was killed before it wrote
            one, every row is decoded, and compared with the footer.
    """
    with suppress(*_UNREADABLE):
        if pq.read_schema(folder / name).field("id").type != job.plan.id_type:
            return None
        entry = Entry.of(folder, name, job.plan.rows)
        if entry == listed or _matches_footer(folder / name, told, job.plan.rows):
            return entry
    return None


def _matches_footer(path: Path, told: dict[str, Any], rows: int) -> bool:
    """Decode every row, page checksums included."""
    digest, found = RowsDigest(), 0
    for _, batch in read_batches(path, pq.read_schema(path).names):
        digest.update(*outcomes_of(batch))
        found += batch.num_rows
    return found == rows and digest.hexdigest() == told.get("rows_digest")
