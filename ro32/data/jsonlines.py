"""Reads JSON lines in bounded memory: one object per line, as in Kaggle's snapshot of arXiv."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from ro32.data.text_rows import Row, decode, malformed, read_lines, without_surrogates
from ro32.errors import InputDataError
from ro32.model.outcomes import MALFORMED
from ro32.storage.files import InputFile
from ro32.storage.strict_json import LONE_SURROGATE, refuse_constant

_LINES_FOR_NAMES = 1_000
"""Lines among which one must be an object with fields; what they have together is what the file has."""
_MOST_NAMES = 1_000
"""Names from which on no other object is looked at."""
_TWICE = object()
"""Value of a field that an object has more than once: which one counts is for nobody to guess."""
_KINDS = {dict: "an object", list: "a list", object: "more than one"}


def read_names(path: InputFile) -> list[str]:
    """Return the names of the fields that the first objects have, those that are no text aside.

    Many programs, as Spark, leave a field out where it is null.

    Raises:
        InputDataError: None of the first lines is a JSON object with a field. All else that `read_lines` raises.
    """
    names, reason = dict[str, None](), ""
    for number, line in enumerate(islice(read_lines(path), _LINES_FOR_NAMES), start=1):
        if line.strip():
            try:
                names |= dict.fromkeys(name for name in _object(decode(line)[0]) if not LONE_SURROGATE.search(name))
            except ValueError as error:
                reason = reason or f" (line {number:,}: {error})"
            if len(names) >= _MOST_NAMES:
                break
    if names:
        return list(names)
    raise InputDataError(
        f"{path}: expected one JSON object a line, found none with a field{reason}; get the file again, or convert "
        "it: jq -c"
    )


def read_rows(
    path: InputFile, columns: Sequence[str], lists: Collection[str] = (), max_expansion: float | None = None
) -> Iterator[Row]:
    """Yield some fields of each object, as strings: null if an object lacks one, numbers digit by digit.

    A line that is no JSON object, or whose fields hold something else, is malformed. Fields in `lists` may be lists of
    strings too, which are joined by spaces. Raises what `read_lines` does.
    """
    for number, line in enumerate(read_lines(path, max_expansion), start=1):
        if not line.strip():
            continue
        text, valid = decode(line)
        try:
            fields = _object(text)
        except ValueError as error:
            yield malformed(number, len(line), len(columns), str(error))
            continue
        row = Row(number, len(line), [fields.get(name) for name in columns])
        if any(value is not None and not isinstance(value, str) for value in row.values):
            row = _strings_only(row, columns, lists)
        # A surrogate comes from a byte that is not UTF-8, or from half of a pair of escapes.
        yield row if valid and b"\\u" not in line else without_surrogates(row)


def _strings_only(row: Row, columns: Sequence[str], lists: Collection[str]) -> Row:
    """Return a row whose values are strings or null, and that has an error where it had other ones.

    Each value depends on its own field alone: ids are the same, whatever is read beside them.
    """
    values: list[str | None] = []
    for name, value in zip(columns, row.values, strict=True):
        if value is None or isinstance(value, str):
            values.append(value)
        elif name in lists and isinstance(value, list) and all(isinstance(item, str) for item in value):
            values.append(" ".join(value))
        else:
            values.append(None)
            kind = _KINDS.get(type(value), "a truth value")
            row = row._replace(error=MALFORMED, reason=f"expected a string as {name!r}, found {kind}")
    return row._replace(values=values)


def _fields(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of an object; `_TWICE` for those that it has more than once."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        times = Counter(name for name, _ in pairs)
        fields |= {name: _TWICE for name in fields if times[name] > 1}
    return fields


_parse = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=refuse_constant, object_pairs_hook=_fields
).decode


def _object(text: str) -> dict[str, Any]:
    """Parse a line; raise ValueError if it is no JSON object, or one in which values are nested too deeply."""
    try:
        parsed = _parse(text.rstrip())
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error
    if not isinstance(parsed, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004 - damaged data
    return parsed
