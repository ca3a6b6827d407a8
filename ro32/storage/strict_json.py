"""Parses JSON strictly: text that is nested too deeply or contains NaN is refused."""

import json
from typing import Any, NoReturn


def parse(text: str | bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read one JSON value.

    Raises:
        ValueError: It is no JSON, or is nested deeper than Python's parser goes.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
