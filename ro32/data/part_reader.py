"""Parts of the input, read and normalized in bounded memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, groupby, pairwise
from operator import attrgetter
from sys import getsizeof

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ro32.data import sources
from ro32.data.papers import Columns, Papers, Part, check_id_sizes
from ro32.data.parquet import ERRORS_COLUMN
from ro32.data.utf8 import is_text
from ro32.errors import InputDataError
from ro32.model.outcomes import REASONS, Hashes
from ro32.model.text import normalize_texts
from ro32.storage.files import InputFile

_PIECE_BYTES = 64 << 20
"""Of text in memory at once, of which three pieces are held: one read, one scored, one waited for. A part of 10,000
ordinary papers has 13 MB."""
_SLICE_BYTES = 16 << 20
"""Of raw text that is normalized at once. A string of Python's may take four times as many bytes as in UTF-8."""
_LONG_BYTES = 8 << 10
"""Of raw text a row, many times what an abstract has, from which on equal texts are looked for first."""

Known = Callable[[Part], tuple[Hashes, NDArray[np.uint8]] | None]
"""Returns hashes and reading errors of a part whose texts need not be decoded, else None."""


def read_parts(
    parts: Sequence[Part], columns: Columns, id_type: pa.DataType, known: Known = lambda _: None
) -> Iterator[tuple[Part, Papers]]:
    """Read parts in input order, streaming, in pieces of at most `_PIECE_BYTES` of text or one paper.

    Args:
        parts: Parts in input order; gaps are allowed.
        columns: Names of the columns to read.
        id_type: What to cast the ids to.
        known: Tells of which parts the ids alone are read.

    Yields:
        A part, or a piece of one with the same index, and its papers. All parts of ordinary papers are in one piece.

    Raises:
        InputDataError: A checksum does not match, a value is invalid, or rows are missing.
        ReadWriteError: The file vanished, the disk failed half-way, or there is too little memory.
    """
    for skip, group in groupby(parts, key=lambda part: known(part) is not None):
        if not skip:
            yield from _read_texts(list(group), columns, id_type)
            continue
        for part, ids in read_ids(list(group), columns, id_type):
            if found := known(part):
                yield part, Papers(ids=ids, titles=(), abstracts=(), hashes=found[0], errors=found[1])


def _read_texts(parts: Sequence[Part], columns: Columns, id_type: pa.DataType) -> Iterator[tuple[Part, Papers]]:
    held: list[_Rows] = []
    for part, start, batch in _cut(parts, columns.names):
        for rows in _decode(part, start, batch, columns, id_type):
            if held and sum(item.size for item in held) + rows.size > _PIECE_BYTES:
                yield _join(held)
                held = []
            held.append(rows)
            if rows.end == part.start + part.rows:
                yield _join(held)
                held = []


def read_ids(
    parts: Sequence[Part],
    columns: Columns,
    id_type: pa.DataType,
    beside: Mapping[InputFile, Sequence[str]] | None = None,
    look: Callable[[InputFile, pa.RecordBatch], object] = lambda _path, _batch: None,
) -> Iterator[tuple[Part, pa.ChunkedArray]]:
    """Read the ids of parts alone, as `read_parts` reads whole papers; each part in one piece.

    `look` is called with each batch of the columns that are read `beside` them, before its part is yielded.
    """
    held: list[pa.Array] = []
    for part, start, batch in _cut(parts, [columns.id], beside):
        held.append(_ids(part, start, batch, columns, id_type))
        look(part.path, batch)
        if sum(map(len, held)) == part.rows:
            yield part, pa.chunked_array(held, type=id_type)
            held = []


def _cut(
    parts: Sequence[Part], names: Sequence[str], beside: Mapping[InputFile, Sequence[str]] | None = None
) -> Iterator[tuple[Part, int, pa.RecordBatch]]:
    """Yield batches in order, each within one part, with the row of the file at which it starts."""
    for path, group in groupby(parts, key=attrgetter("path")):
        wanted, more = list(group), (beside or {}).get(path, ())
        all_names = list(dict.fromkeys([*names, *more]))
        for start, batch in sources.read_batches(path, all_names, from_row=wanted[0].start, lists=more):
            end = start + batch.num_rows
            while wanted and wanted[0].start < end:
                part = wanted[0]
                first, last = max(part.start, start), min(part.start + part.rows, end)
                yield part, first, batch.slice(first - start, last - first)
                if part.start + part.rows > end:
                    break
                wanted.pop(0)
            if not wanted:
                break
        if wanted:
            raise InputDataError(
                f"{path}: the footer announces rows up to {wanted[0].start + wanted[0].rows}, but some are missing; "
                "the file is damaged, get it again"
            )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Some papers of a part: what `Papers` holds of them, and the row of the file at which they start."""

    part: Part
    start: int
    ids: pa.Array
    titles: list[str]
    abstracts: list[str]
    errors: NDArray[np.uint8]

    @property
    def end(self) -> int:
        """The row of the file behind them."""
        return self.start + len(self.titles)

    @cached_property
    def size(self) -> int:
        """Bytes of the texts in memory; one that several rows share counts once."""
        return sum(map(getsizeof, {id(text): text for text in chain(self.titles, self.abstracts)}.values()))


def _join(held: Sequence[_Rows]) -> tuple[Part, Papers]:
    first, last = held[0], held[-1]
    return replace(first.part, start=first.start, rows=last.end - first.start), Papers.of_texts(
        ids=pa.chunked_array([rows.ids for rows in held]),
        titles=list(chain.from_iterable(rows.titles for rows in held)),
        abstracts=list(chain.from_iterable(rows.abstracts for rows in held)),
        errors=np.concatenate([rows.errors for rows in held]),
    )


def _decode(part: Part, start: int, batch: pa.RecordBatch, columns: Columns, id_type: pa.DataType) -> Iterator[_Rows]:
    """Yield the papers of a batch, at most `_SLICE_BYTES` of text or one paper at once."""
    sizes = _sizes(batch.column(columns.title)) + _sizes(batch.column(columns.abstract))
    slices = np.cumsum(sizes) // _SLICE_BYTES
    edges = [0, *(np.flatnonzero(np.diff(slices)) + 1).tolist(), batch.num_rows]
    for first, end in pairwise(edges):
        rows = batch.slice(first, end - first)
        errors = np.zeros(len(rows), dtype=np.uint8)
        if ERRORS_COLUMN in rows.schema.names:
            errors[:] = [REASONS.index(reason) for reason in rows.column(ERRORS_COLUMN).to_pylist()]
        yield _Rows(
            part=part,
            start=start + first,
            ids=_ids(part, start + first, rows, columns, id_type),
            titles=_texts(rows.column(columns.title)),
            abstracts=_texts(rows.column(columns.abstract)),
            errors=errors,
        )


def _sizes(column: pa.Array) -> NDArray[np.int64]:
    """Return the bytes of each value, shape (n,); none where values lie in a dictionary, which is bounded by itself."""
    if not is_text(column.type) or pa.types.is_dictionary(column.type):
        return np.zeros(len(column), dtype=np.int64)
    return np.asarray(pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _texts(column: pa.Array) -> list[str]:
    """Normalize texts; rows of the same value in a dictionary share one string."""
    if column.null_count == len(column):  # of whatever type
        return [""] * len(column)
    if not pa.types.is_dictionary(column.type):
        if column.nbytes <= _LONG_BYTES * len(column):
            return normalize_texts(column)
        column = column.dictionary_encode()  # the same long text again and again takes seconds to normalize
    used, row = np.unique(column.indices.fill_null(0).to_numpy(zero_copy_only=False), return_inverse=True)
    known = column.is_valid().to_numpy(zero_copy_only=False)
    values = normalize_texts(column.dictionary.take(pa.array(used))) if known.any() else []
    return [values[at] if valid else "" for at, valid in zip(row.tolist(), known.tolist(), strict=True)]


def _ids(part: Part, start: int, batch: pa.RecordBatch, columns: Columns, id_type: pa.DataType) -> pa.Array:
    """Cast the ids of a batch; raise InputDataError that names the row if one is too long or does not fit."""
    ids = batch.column(columns.id)
    check_id_sizes(part.path, start, ids)
    try:
        return _cast(ids, id_type)
    except pa.ArrowInvalid as error:
        for row in range(len(ids)):
            try:
                _cast(ids.slice(row, 1), id_type)
            except pa.ArrowInvalid:
                raise InputDataError(
                    f"{part.path}, row {start + row:,}: the id {ids[row]} does not fit {id_type}, the type of the ids "
                    "of all files; convert the ids to strings"
                ) from error
        raise


def _cast(ids: pa.Array, id_type: pa.DataType) -> pa.Array:
    if ids.type == id_type:
        return ids
    plain = ids.dictionary_decode() if pa.types.is_dictionary(ids.type) else ids
    if pa.types.is_dictionary(id_type):
        return plain.cast(id_type.value_type).dictionary_encode().cast(id_type)
    return plain.cast(id_type)
