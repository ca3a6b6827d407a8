"""Rows whose stored bytes have not changed since earlier labels, so that their hashes are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ro32.data.papers import Part
from ro32.data.row_groups import RowGroup
from ro32.model.outcomes import FIRST_READING_ERROR, Hashes
from ro32.storage.files import InputFile


@dataclass(frozen=True, kw_only=True)
class _Span:
    """Rows from `start` to before `end` of an input file, which are those from `at` on of the earlier labels."""

    start: int
    end: int
    at: int


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
            start, spans = 0, []
            for group in groups:
                if group.digest in known:
                    spans.append(_Span(start=start, end=start + group.rows, at=known[group.digest]))
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
        """Read the row groups that labels were made from.

        Args:
            footer: Of the labels; where it names no row groups, or others than so many rows have, no row is known.
            rows: Rows of the labels.
            now: Returns the row groups of each input file.
        """
        try:
            before = [RowGroup(rows=int(count), digest=digest) for count, digest in footer.get("row_groups") or ()]
        except (TypeError, ValueError):
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
        end, pieces = part.start + part.rows, list[slice]()
        at = part.start
        for span in self._spans.get(part.path, ()):
            if span.start <= at < span.end:
                upto = min(span.end, end)
                pieces.append(slice(span.at + at - span.start, span.at + upto - span.start))
                at = upto
        if at < end:
            return None
        hashes, errors = ([column[piece] for piece in pieces] for column in (self._hashes, self._errors))
        return np.concatenate(hashes), np.concatenate(errors)
