"""Pages show the figures of the bundle that ships."""

from pathlib import Path

import pytest

from tests.docs.generated import CASCADE, MODEL, refresh


@pytest.mark.parametrize(
    ("page", "shown"),
    [(MODEL, "<!-- quality -->\nMeasured on "), (CASCADE, "<!-- certificate -->\n| ")],
    ids=["model", "cascade"],
)
def test_tables_are_fresh(page: Path, shown: str) -> None:
    text = page.read_text(encoding="utf-8")
    assert shown in text  # without its markers a table would never be out of date
    assert text == refresh(text), "out of date; run `make docs`"
