"""Reuse: outcomes in an earlier labels file for the same text and the same model."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.labels import RowsDigest, read_outcomes, read_provenance
from ro32.data.writers import Form, form_of
from ro32.errors import InputDataError, InputMissingError, ReadWriteError, one_line
from ro32.model.outcomes import Hashes, OutcomeIndex, Outcomes
from ro32.run.job import Job
from ro32.run.journal import Journal
from ro32.run.unchanged import UnchangedRows
from ro32.storage.client import StoreSettings, UnreachableError
from ro32.storage.files import InputFile, file_at, for_arrow
from ro32.storage.objects import find_objects
from ro32.storage.urls import ObjectUrl


def footer_before(job: Job) -> dict[str, Any] | None:
    """Return the footer of the labels before, at the target or else those named for reuse; None if none can be read.

    Raises:
        InputDataError: Labels were named for reuse that are not there.
    """
    labels = (file_at(job.target), _find(job.settings.reuse, job.settings.stores))
    return next(filter(None, map(footer_of, labels)), None)


def footer_of(labels: InputFile | None) -> dict[str, Any] | None:
    """Return the footer of a labels file; None if it cannot be read. Errors of a store are raised."""
    with suppress(OSError, ValueError, pa.ArrowException):
        return None if labels is None else read_provenance(labels)
    return None


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What earlier labels say: outcomes by content hash, and hashes of rows whose bytes in the input did not change."""

    outcomes: OutcomeIndex = field(default_factory=OutcomeIndex)
    rows: UnchangedRows = field(default_factory=lambda: UnchangedRows((), {}))


def outcomes_before(job: Job, journal: Journal) -> Earlier:
    """Load the outcomes that a job may take over; none, and a warning where that is a surprise, if there are none.

    Raises:
        InputDataError: Labels were named for reuse and cannot be.
    """
    named = _find(job.settings.reuse, job.settings.stores)
    source = named or file_at(job.target)
    if job.settings.no_reuse or source is None:
        return Earlier()
    # The other forms have no footer.
    nothing_there = form_of(source) is not Form.PARQUET or (isinstance(source, Path) and not source.exists())
    if named is None and nothing_there:
        return Earlier()
    try:
        return _load_outcomes(source, job)
    except _NotReusableError as error:
        if named is not None:
            raise InputDataError(f"{source} cannot be reused: {error}; name other labels, or none") from error
        journal.warn("not_reused", f"{source} is not reused: {error}; every paper is scored")
        return Earlier()


def _find(named: Path | ObjectUrl | None, stores: StoreSettings) -> InputFile | None:
    """Return the labels that were named for reuse."""
    if not isinstance(named, ObjectUrl):
        return named
    try:
        found = find_objects([named], stores)
    except InputMissingError as error:
        raise InputDataError(f"labels cannot be reused: {error}; name other ones, or none") from error
    if len(found) > 1:
        raise InputDataError(f"{named} cannot be reused: it is {len(found):,} objects; name one, or none")
    return found[0]


class _NotReusableError(Exception):
    """An earlier labels file says nothing about this run's papers; the message says why."""


def _load_outcomes(path: InputFile, job: Job) -> Earlier:
    try:
        provenance = read_provenance(path)
        if provenance is None:
            raise _NotReusableError("it is not a labels file of ro32")
        if provenance.get("scoring_digest") != job.classifier.scoring_digest:
            raise _NotReusableError("it was scored with another model or another version of the scoring")
        digest, index, count = RowsDigest(), OutcomeIndex(), pq.read_metadata(for_arrow(path)).num_rows
        rows = UnchangedRows.from_footer(provenance, count, lambda: job.row_groups)

        def checked() -> Iterator[tuple[Hashes, Outcomes]]:
            for hashes, outcomes in read_outcomes(path):
                digest.update(hashes, outcomes)
                rows.add(hashes, outcomes.errors)
                yield hashes, outcomes

        index.add_all(count, checked())
    except UnreachableError:  # says nothing of the labels; to score all papers for it would cost a night
        raise
    except (OSError, ValueError, pa.ArrowException, InputDataError, InputMissingError, ReadWriteError) as error:
        raise _NotReusableError(f"it cannot be read ({one_line(error)})") from error
    if digest.hexdigest() != provenance.get("rows_digest"):
        raise _NotReusableError("it is damaged: its rows do not match the digest in its footer")
    return Earlier(outcomes=index, rows=rows)
