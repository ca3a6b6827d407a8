"""Only what changed: outcomes that an earlier labels file already holds for the same text and the same model."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.errors import InputDataError, InputMissingError, ReadWriteError
from ro32.job import Job
from ro32.journal import Journal
from ro32.labels import RowsDigest, read_outcomes, read_provenance
from ro32.outcomes import Hashes, OutcomeIndex, Outcomes
from ro32.writers import Form, form_of


def outcomes_before(job: Job, journal: Journal) -> OutcomeIndex:
    """Load the outcomes that a job may take over; none, and a warning where that is a surprise, if there are none.

    Raises:
        InputDataError: Labels were named for reuse and cannot be.
    """
    named = job.settings.reuse
    journal.previous = _provenance(job.target) or (named and _provenance(named)) or None
    source = named or job.target
    nothing_there = form_of(source) is not Form.PARQUET or not source.exists()  # the other forms tell no provenance
    if job.settings.no_reuse or (named is None and nothing_there):
        return OutcomeIndex()
    try:
        return load_outcomes(source, job.classifier.scoring_digest, None if job.screen is None else job.screen.digest)
    except NotReusableError as error:
        if named is not None:
            raise InputDataError(f"{source} cannot be reused: {error}; name other labels, or none") from error
        journal.warn("not_reused", f"{source} is not reused: {error}; every paper is scored")
        return OutcomeIndex()


class NotReusableError(Exception):
    """An earlier labels file says nothing about this run's papers; the message says why."""


def load_outcomes(path: Path, scoring_digest: str, screen_digest: str | None) -> OutcomeIndex:
    """Read the outcomes of an earlier run.

    Args:
        path: Its labels file.
        scoring_digest: What full scores depend on besides the text; the file must name the same.
        screen_digest: The same of scores that a screen gives. Where the file names another, or there is no screen now,
            only what was scored in full is taken.

    Returns:
        The outcomes by content hash.

    Raises:
        NotReusableError: The file is missing, damaged, not ours, or was scored in another way.
    """
    try:
        provenance = read_provenance(path)
        if provenance is None:
            raise NotReusableError("it is not a labels file of ro32")
        if provenance.get("scoring_digest") != scoring_digest:
            raise NotReusableError("it was scored with another model or another version of the scoring")
        rows, digest, index = pq.read_metadata(path).num_rows, RowsDigest(), OutcomeIndex()
        told = provenance.get("cascade") or {}
        same_screen = screen_digest is not None and told.get("digest") == screen_digest

        def checked() -> Iterator[tuple[Hashes, Outcomes]]:
            for hashes, outcomes in read_outcomes(path):
                digest.update(hashes, outcomes)
                kept = ~outcomes.screened | same_screen
                yield hashes[kept], outcomes.take(kept)

        index.add_all(rows - (0 if same_screen else int(told.get("screened_rows", 0))), checked())
    except (OSError, ValueError, pa.ArrowException, InputDataError, InputMissingError, ReadWriteError) as error:
        raise NotReusableError(f"it cannot be read ({' '.join(str(error).split())})") from error
    if digest.hexdigest() != provenance.get("rows_digest"):
        raise NotReusableError("it is damaged: its rows do not match the digest in its footer")
    return index


def _provenance(path: Path) -> dict[str, Any] | None:
    """Return what the footer of a labels file tells; None where that cannot be read."""
    with suppress(OSError, ValueError, pa.ArrowException):
        return read_provenance(path)
    return None
