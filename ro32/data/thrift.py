"""Reads structs in Thrift's compact protocol, as far as the headers of Parquet's pages need it.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Mapping

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_MAX_DEPTH = 16

Struct = Mapping[int, "int | Struct"]
"""Numbers and structs by the number of their field; fields of other types are skipped."""


class Cursor:
    """Reads structs, and stands behind what it has read: `at`."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int = 0) -> Struct:
        """Read a struct; raise IndexError if the data ends within it, and ValueError if it is none."""
        found: dict[int, int | Struct] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._number()
            value = self._value(head & 15, depth)
            if value is not None:
                found[number] = value
        return found

    def _value(self, kind: int, depth: int) -> "int | Struct | None":
        if depth > _MAX_DEPTH:
            raise ValueError("values are nested too deeply")
        if kind in {_TRUE, _FALSE}:
            return int(kind == _TRUE)
        if kind in {_I16, _I32, _I64}:
            return self._number()
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in {_BYTE, _DOUBLE, _BINARY}:
            self._skip({_BYTE: 1, _DOUBLE: 8}.get(kind) or self._varint())
        elif kind in {_LIST, _SET}:
            head = self._byte()
            self._elements(head & 15, head >> 4 if head >> 4 != 15 else self._varint(), depth)  # noqa: PLR2004
        elif kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._elements(kinds >> 4, 1, depth)
                self._elements(kinds & 15, 1, depth)
        else:
            raise ValueError(f"no such type: {kind}")
        return None

    def _elements(self, kind: int, count: int, depth: int) -> None:
        for _ in range(count):
            if kind in {_TRUE, _FALSE}:  # within a list each takes a byte
                self._skip(1)
            else:
                self._value(kind, depth + 1)

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:  # noqa: PLR2004 - the bit that tells of more
                return value
            if shift > 63:  # noqa: PLR2004
                raise ValueError("a number of more than 64 bits")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
