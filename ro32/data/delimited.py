"""Text in columns, with a head line that names them, in bounded memory: CSV, with commas, tabs, semicolons or bars.

Fields may be quoted as in RFC 4180 and then hold delimiters, quotes and line ends, as the abstracts of arXiv do. Every
column is read as strings, since an id such as 0704.0010 is no number. A quote that would swallow rows is refused;
in a file with tabs, whose writers often quote nothing, it is text.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from unicodedata import category

from ro32.data.text_rows import MAX_ROW_BYTES, Row, decode, malformed, read_lines, without_surrogates
from ro32.errors import InputDataError
from ro32.storage.files import InputFile

DELIMITERS = ",\t;|"
_MAX_LINES_OF_ROW = 1_000
"""Lines that the fields of one row may have: more of them, or of bytes, are a quote that was not closed."""


def delimiter_of(head: bytes) -> str | None:
    """Return the delimiter of the first line of a text; None if it does not have several names."""
    line, end, _ = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")
    try:
        text = line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return None
    if not end or any(letter != "\t" and category(letter) == "Cc" for letter in text):
        return None
    found = max(DELIMITERS, key=text.count)
    return found if found in text else None


def read_head(path: InputFile) -> tuple[list[str], str]:
    """Return the names of a file's columns, and what separates them.

    Raises:
        InputDataError: The first line ends within a name. All else that `read_lines` raises.
    """
    line = next(read_lines(path), b"")
    delimiter = delimiter_of(line) or DELIMITERS[0]
    try:
        return next(csv.reader([decode(line)[0]], delimiter=delimiter, strict=True), []), delimiter
    except csv.Error as error:
        raise InputDataError(
            f"{path}: the first line cannot be read as names of columns ({error}); write them in one line"
        ) from error


class _Lines:
    """Gives lines to a parser, and keeps those of the current row, so that they can be given again."""

    def __init__(self, path: InputFile, max_expansion: float | None) -> None:
        self._source = read_lines(path, max_expansion)
        self._again: list[bytes] = []
        self._next = 1
        self.begin()

    def begin(self) -> None:
        """Begin a row."""
        self.taken, self.texts, self.size, self.valid, self.first = list[bytes](), list[str](), 0, True, self._next

    def give_again(self) -> None:
        """Take back all lines of the row but its first."""
        self._again = self.taken[1:] + self._again
        self._next = self.first + 1
        self.taken, self.texts = self.taken[:1], self.texts[:1]
        self.size, self.valid = len(self.taken[0]), decode(self.taken[0])[1]

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop(0) if self._again else next(self._source)
        self._next += 1
        self.taken.append(line)
        self.size += len(line)
        if len(self.taken) > _MAX_LINES_OF_ROW or self.size > MAX_ROW_BYTES:
            raise csv.Error(f"it has more than {_MAX_LINES_OF_ROW:,} lines or {MAX_ROW_BYTES >> 20} MiB")
        text, valid = decode(line)
        self.texts.append(text)
        self.valid = self.valid and valid
        return text


def read_rows(path: InputFile, columns: Sequence[str], max_expansion: float | None = None) -> Iterator[Row]:
    """Yield some columns of each row; one of another number of fields is malformed.

    Raises:
        InputDataError: A quoted field is not closed. All else that `read_lines` raises.
    """
    names, delimiter = read_head(path)
    places = [names.index(name) for name in columns]
    lines = _Lines(path, max_expansion)
    next(lines)  # the names
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))  # of the process; asked at each character
    parser = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin()
        try:
            fields = next(parser)
            if len(lines.taken) > 1:
                _check_lines(lines.texts, delimiter, len(names))
        except StopIteration:
            return
        except csv.Error as error:
            if delimiter == "\t":
                lines.give_again()
                fields = lines.texts[0].rstrip("\r\n").split(delimiter)
            elif len(lines.taken) > 1:
                raise InputDataError(
                    f"{path}, line {lines.first:,}: a quote is not closed, or not doubled as in RFC 4180, and would "
                    f"merge the lines below it into one row ({error}); correct the row"
                ) from error
            else:
                reason = str(error).partition(" - ")[0]  # what follows advises programmers
                yield malformed(lines.first, lines.size, len(columns), reason)
                continue
        if not fields:  # an empty line
            continue
        if len(fields) != len(names):
            reason = f"expected {len(names)} fields, as the first line has, found {len(fields)}"
            yield malformed(lines.first, lines.size, len(columns), reason)
            continue
        row = Row(lines.first, lines.size, [fields[place] for place in places])
        yield row if lines.valid else without_surrogates(row)


def _check_lines(lines: Sequence[str], delimiter: str, columns: int) -> None:
    """Raise csv.Error for a row of several lines each of which looks like a row.

    It has as many fields and, where commas may be prose, begins with an id.
    """
    for line in lines:
        fields = line.split(delimiter)
        if len(fields) != columns:
            return
        if delimiter != "\t" and (not fields[0] or " " in fields[0] or fields[1][:1].isspace()):
            return
    raise csv.Error("each of its lines looks like a row")
