"""README.md says what the code does."""

import re

import pyarrow as pa
import pytest

from ro32.cli.signals import STOPPING
from ro32.data import labels
from ro32.errors import Ro32Error
from ro32.model.outcomes import REASONS
from tests.docs.commands import ROOT


@pytest.fixture(scope="module")
def readme() -> str:
    """Return README.md's text."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_column_tables_are_the_output_contract(readme: str) -> None:
    """The same columns in the same order."""
    columns = labels.schema(pa.string()).names
    page = (ROOT / "docs" / "labels.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE) == columns
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE) == columns


def test_it_is_short(readme: str) -> None:
    """What is longer has a page of its own."""
    assert len(readme.encode()) <= 7_000


def test_reasons_for_no_score_are_all_named(readme: str) -> None:
    """What a query on the column `error` can meet."""
    for reason in REASONS:
        assert reason is None or f"`{reason}`" in readme


def test_exit_code_table_is_the_error_tree() -> None:
    """Each code that a command can end with has its row."""
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    shown = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for code in row.split(",")}
    raised = {error.exit_code for error in Ro32Error.__subclasses__()}
    assert shown == {0, Ro32Error.exit_code, *(128 + number for number in STOPPING)} | raised
