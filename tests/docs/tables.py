"""The tables of the documentation, for tests that compare them with what the code does."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def table(page: str, name: str) -> list[list[str]]:
    """Return the rows of the table between "<!-- name -->" and "<!-- /name -->", code marks off their first cells."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (body,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in body.splitlines()]
    return [[first.strip("`"), *others] for first, *others in rows[2:]]


def flat(values: Mapping[str, Any], known: set[str], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of nested objects as the tables name them, and their types."""
    for name, value in values.items():
        if isinstance(value, dict) and f"{prefix}{name}" not in known:
            yield from flat(value, known, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "null" if value is None else JSON_TYPES[type(value)]


def check_documented(found: Mapping[str, Any], name: str) -> None:
    """Compare an object with a table of docs/report.md: the same fields in the same order, of the types it allows."""
    documented = {field: types.split(", ") for field, types, _ in table("report.md", name)}
    types = dict(flat(found, set(documented)))
    assert list(types) == list(documented)
    for field, kind in types.items():
        assert kind in documented[field] or (kind == "integer" and "number" in documented[field]), field
