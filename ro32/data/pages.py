"""The number of rows of a row group that may be decoded at once, from the uncompressed sizes of its pages.

A footer tells sizes of whole columns, but not of pages, and a page is unpacked as a whole. Nor does it tell how often a
value of the dictionary is repeated: one abstract of 1 MiB and 10,000 rows that name it are 50 kB, and 10 GB when they
are decoded. So the header of each page is read first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.parquet as pq

from ro32.data.footer import RawFile, start_of
from ro32.data.thrift import Cursor, Struct

MAX_BYTES = 256 << 20
"""What the pages and values of a batch may take, all columns together."""
_USUAL_BYTES = 64 << 20
"""What they take at most where a single row does not need more."""
MAX_ROWS = 2_048
"""Rows decoded at once: many times what a call costs."""
_TRUSTED_BYTES = 32 << 20
"""What a column announces that is taken on trust where each page would be one request more."""
_SMALL_BYTES = 8 << 10
"""Pages of so many bytes together count as one: a file may have millions of them."""
HEADER_BYTES = 512
_LONGER_HEADER_BYTES = (64 << 10, 16 << 20)
"""Read for the header of a page, one after the other until it is whole; statistics make some long."""
_BY_DICTIONARY = frozenset({2, 8})
_DELTA_BYTE_ARRAY = 7
_COPIES = 3
"""Of a dictionary: its page, what the decoder makes of it, and the dictionary of a batch."""


class Damaged(Exception):  # noqa: N818 - it never leaves this package
    """A page has no header that can be read."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A data page, or small ones in a row: values, bytes unpacked, and the encoding's number, -1 where not known."""

    values: int
    size: int
    encoding: int


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A column of a row group.

    Attributes:
        flat: Whether it holds one value a row, and no lists of them.
        text: Whether its values are of any length.
        pages: Its data pages in order.
        dictionary: Bytes that its dictionary unpacks to; 0 where it has none.
        longest: Bytes that a value of the dictionary may have.
        encoded: Whether it is to be read as a dictionary.
    """

    path: str
    values: int
    flat: bool
    text: bool
    pages: Sequence[Page]
    dictionary: int
    longest: int
    encoded: bool = False

    @property
    def all_by_dictionary(self) -> bool:
        """Whether every value is one of the dictionary."""
        return self.flat and self.text and all(page.encoding in _BY_DICTIONARY for page in self.pages)

    def bytes_of(self, rows: int) -> int:
        """Return the maximum number of bytes that so many rows take while they are decoded."""
        largest = max((page.size for page in self.pages), default=0)
        held = largest + _COPIES * self.dictionary
        if self.encoded:
            return held + 4 * rows
        prefixed = max((page.size for page in self.pages if page.encoding == _DELTA_BYTE_ARRAY), default=0)
        if not self.flat:  # a row may hold any number of values
            return held + sum(page.size for page in self.pages) + self.values * max(self.longest, prefixed)
        return held + self._most(rows) + rows * max(self.longest, prefixed)

    def _most(self, rows: int) -> int:
        """Return the most bytes of pages that so many neighbouring rows can lie in."""
        values = np.cumsum([0, *(page.values for page in self.pages)])
        sizes = np.cumsum([0, *(page.size for page in self.pages)])
        # Between the first and the last of these pages there are fewer rows than asked for.
        first = np.maximum(np.searchsorted(values, values[:-1] - rows, side="right") - 1, 0)
        return int(np.max(sizes[1:] - sizes[first], initial=0))


def look_at(source: RawFile, group: pq.RowGroupMetaData, names: Sequence[str], *, trusting: bool) -> list[Chunk]:
    """Read the headers of the pages of some columns; if `trusting`, only one header of each small column."""
    chunks = []
    for column in map(group.column, range(group.num_columns)):
        path = column.path_in_schema
        for name in names:
            if path == name or path.startswith(f"{name}."):
                chunks.append(_chunk(source, column, flat=path == name, trusting=trusting))
                break
    return chunks


def _chunk(source: RawFile, column: pq.ColumnChunkMetaData, *, flat: bool, trusting: bool) -> Chunk:
    at = start_of(column)
    end, left = at + column.total_compressed_size, column.num_values
    trusting = trusting and column.total_uncompressed_size <= _TRUSTED_BYTES
    pages: list[Page] = []
    dictionary = longest = 0
    while left > 0 and at < end:
        header, at = _header(source, at)
        size = _int(header, 2)
        match header.get(1):
            case 2:
                values, dictionary = _int(_struct(header, 7), 1), size
                longest = max(size - 4 * values, 0) if column.physical_type == "BYTE_ARRAY" else size // max(values, 1)
            case 0 | 3 as kind:
                found = _struct(header, 5 if kind == 0 else 8)
                page = Page(values=_int(found, 1), size=size, encoding=_int(found, 2 if kind == 0 else 4))
                left -= page.values
                if pages and pages[-1].encoding == page.encoding and pages[-1].size + size <= _SMALL_BYTES:
                    before = pages.pop()
                    page = replace(before, values=before.values + page.values, size=before.size + size)
                pages.append(page)
        at += _int(header, 3)
        if trusting:
            pages = [Page(values=column.num_values, size=column.total_uncompressed_size, encoding=-1)]
            break
    return Chunk(
        path=column.path_in_schema,
        values=column.num_values,
        flat=flat,
        text=column.physical_type == "BYTE_ARRAY",
        pages=pages,
        dictionary=dictionary,
        longest=longest,
    )


def _header(source: RawFile, at: int) -> tuple[Struct, int]:
    """Read the header at a place of a file; return it and where it ends."""
    for size in (HEADER_BYTES, *_LONGER_HEADER_BYTES):
        source.seek(at)
        cursor = Cursor(source.read(size) or b"")
        try:
            return cursor.struct(), at + cursor.at
        except IndexError:
            continue
        except ValueError as error:
            raise Damaged(f"a page has no header: {error}") from error
    raise Damaged("the header of a page has no end")


def _int(struct: Struct, field: int) -> int:
    value = struct.get(field, 0)
    if not isinstance(value, int) or value < 0:
        raise Damaged(f"the header of a page has a field {field} of {value}")
    return value


def _struct(struct: Struct, field: int) -> Struct:
    value = struct.get(field, {})
    if isinstance(value, int):
        raise Damaged(f"the header of a page has a field {field} of {value}")
    return value


def _rows_at_once(chunks: Sequence[Chunk]) -> int:
    """Return the number of rows that fit at once; 0 if not even one does."""

    def taken(rows: int) -> int:
        return sum(chunk.bytes_of(rows) for chunk in chunks)

    if taken(1) > MAX_BYTES:
        return 0
    rows, limit = MAX_ROWS, max(_USUAL_BYTES, taken(1))
    while taken(rows) > limit:
        rows //= 2
    return rows


def choose(chunks: Sequence[Chunk], longest: Callable[[Chunk], int]) -> tuple[int, list[str]]:
    """Choose how a row group is read, given a function that finds the longest value of a dictionary, at some cost.

    Returns:
        Rows to read at once, 0 where not even one fits; and names of columns to read as dictionaries.
    """
    rows = _rows_at_once(chunks)
    if rows == MAX_ROWS:
        return rows, []
    if _COPIES * sum(chunk.dictionary for chunk in chunks) < MAX_BYTES:
        known = [
            replace(chunk, longest=longest(chunk)) if chunk.text and chunk.dictionary else chunk for chunk in chunks
        ]
        rows = _rows_at_once(known)
        if rows < MAX_ROWS:
            encoded = [replace(chunk, encoded=chunk.dictionary > 0 and chunk.all_by_dictionary) for chunk in known]
            return _rows_at_once(encoded), [chunk.path for chunk in encoded if chunk.encoded]
    return rows, []
