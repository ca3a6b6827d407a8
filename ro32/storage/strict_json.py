"""Parses JSON strictly: text that is nested too deeply or contains NaN is refused."""

import json
import re
from typing import Any, NoReturn

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half of a character, which JSON can escape and Python's strings can hold, and which has no UTF-8."""


def parse(text: str | bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read one JSON value.

    Raises:
        ValueError: It is no JSON, or is nested deeper than Python's parser goes.
    """
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def refuse_constant(constant: str) -> NoReturn:
    """Raise ValueError for NaN or an infinity, which Python's parser takes and JSON does not have."""
    raise ValueError(f"{constant} is not JSON")
