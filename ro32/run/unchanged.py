"""Rows whose stored bytes have not changed since earlier labels, so that their hashes are known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ro32.data.papers import Part
from ro32.data.row_groups import RowGroup
from ro32.model.outcomes import FIRST_READING_ERROR, Hashes
from ro32.storage.files import InputFile

_Span = tuple[int, int, int]
"""Start and end of rows of an input file, and where they start in the earlier labels."""


class UnchangedRows:
    """Finds what earlier labels say of rows by their place.

    Args:
        before: The row groups that the earlier labels were made from, in their order.
        now: The row groups of each input file.
    """

    def __init__(self, before: Sequence[RowGroup], now: Mapping[InputFile, Sequence[RowGroup]]) -> None:
        starts = np.cumsum([0, *(group.rows for group in before)]).tolist()
        known = {group.digest: at for group, at in zip(before, starts, strict=False) if group.digest}
        self._spans: dict[InputFile, list[_Span]] = {}
        for path, groups in now.items():
            start, spans = 0, list[_Span]()
            for group in groups:
                if group.digest in known:
                    spans.append((start, start + group.rows, known[group.digest]))
                start += group.rows
            if spans:
                self._spans[path] = spans
        self._hashes: Hashes = np.zeros(starts[-1] if self._spans else 0, dtype="S16")
        self._errors = np.zeros(len(self._hashes), dtype=np.uint8)
        self._filled = 0

    @classmethod
    def from_footer(
        cls, footer: Mapping[str, Any], rows: int, now: Callable[[], Mapping[InputFile, Sequence[RowGroup]]]
    ) -> Self:
        """Read the row groups that labels were made from; no row is known where the groups do not have these rows.

        Args:
            footer: Of the labels.
            rows: Rows of the labels.
            now: Returns the row groups of each input file; called only if it matters.
        """
        try:
            groups = footer.get("row_groups") or ()
            before = [RowGroup(rows=int(count), digest=digest and str(digest)) for count, digest in groups]
        except (TypeError, ValueError, OverflowError):
            before = []
        sound = sum(group.rows for group in before) == rows and all(group.rows >= 0 for group in before)
        some = sound and any(group.digest for group in before)
        return cls(before, now()) if some else cls((), {})

    def add(self, hashes: Hashes, errors: NDArray[np.uint8]) -> None:
        """Take the next rows of the earlier labels: shape (n,), dtypes S16 and uint8."""
        if self._spans:
            rows = slice(self._filled, self._filled + len(hashes))
            self._hashes[rows], self._errors[rows] = hashes, np.where(errors < FIRST_READING_ERROR, 0, errors)
            self._filled = rows.stop

    def find(self, part: Part) -> tuple[Hashes, NDArray[np.uint8]] | None:
        """Return hashes and reading errors of all rows of a part; None if one of them may have changed."""
        at, end, pieces = part.start, part.start + part.rows, list[slice]()
        for span_start, span_end, before in self._spans.get(part.path, ()):
            if span_start <= at < span_end:
                upto = min(span_end, end)
                pieces.append(slice(before + at - span_start, before + upto - span_start))
                at = upto
        if at < end:
            return None
        hashes, errors = ([column[piece] for piece in pieces] for column in (self._hashes, self._errors))
        return np.concatenate(hashes), np.concatenate(errors)
