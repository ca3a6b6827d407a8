"""Checks the types of a bundle's manifest against its dataclasses.

A manifest is text of others: each field may hold anything that JSON can say.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ro32.errors import BundleError
from ro32.storage.strict_json import LONE_SURROGATE

_EXACT = 2**53
"""Up to here every integer is a float64 too."""
_DEEPEST = 16
_MAX_CHARS = 10_000


def check_types(record: Any) -> None:  # noqa: ANN401 - any dataclass
    """Check every field of a dataclass against its annotation.

    Numbers must be finite, strings must be UTF-8 and of at most 10,000 characters, and what is free-form is nested at
    most 16 deep.

    Raises:
        BundleError: A field holds something else.
    """
    hints = get_type_hints(type(record))
    for item in fields(record):
        _check(getattr(record, item.name), hints[item.name], item.name)


def _check(value: Any, expected: Any, where: str) -> None:  # noqa: ANN401 - JSON, and an annotation
    kind = get_origin(expected) or expected
    if kind in {UnionType, Union}:
        if value is not None:
            (expected,) = (choice for choice in get_args(expected) if choice is not type(None))
            _check(value, expected, where)
    elif kind is Any:
        _check_json(value, where, 0)
    elif kind is tuple:
        _require(isinstance(value, tuple), value, "a list", where)
        for item in value:
            _check(item, get_args(expected)[0], where)
    elif kind is Mapping:
        _require(isinstance(value, Mapping), value, "an object", where)
        for name, item in value.items():
            _check(name, str, where)
            _check(item, get_args(expected)[1], f"{where}.{name}")
    elif kind in _SINGLE:
        holds, description = _SINGLE[kind]
        _require(holds(value), value, description, where)
    else:
        _require(isinstance(value, kind), value, f"a {kind.__name__}", where)


def _check_json(value: object, where: str, depth: int) -> None:
    _require(depth <= _DEEPEST, "...", f"values nested at most {_DEEPEST} deep", where)
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check(name, str, where)
            _check_json(item, f"{where}.{name}", depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_json(item, where, depth + 1)
    elif value is not None and not isinstance(value, bool):
        _check(value, str if isinstance(value, str) else float, where)


def _is_string(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_CHARS and not LONE_SURROGATE.search(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_EXACT <= value <= _EXACT


def _is_number(value: object) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


_SINGLE = {str: (_is_string, "a string"), int: (_is_integer, "an integer"), float: (_is_number, "a finite number")}


def _require(holds: bool, value: object, expected: str, where: str) -> None:  # noqa: FBT001 - the condition itself
    if not holds:
        raise BundleError(f"{where}: expected {expected}, found {str(value)[:100]!r}")
