"""README.md's first five minutes, followed to the letter: a clone, Python, make, and nothing else."""

import os
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.docs.shown import shown
from tests.smoke.tree import copy_tree, run

pytestmark = pytest.mark.smoke

OURS = ("MAKE", "MFLAGS", "PYTHON", "RO32", "VIRTUAL_ENV")
"""How variables begin that a newcomer has not set."""


def first_lines() -> list[str]:
    """Return what README.md shows first, up to the report."""
    lines = [item.text for item in shown("README.md")]
    return lines[: lines.index("make report") + 1]


def test_labels_and_a_report_come_of_the_first_lines(tmp_path: Path) -> None:
    clone = tmp_path / "ro32"
    copy_tree(clone)
    python = Path(sys._base_executable)  # type: ignore[attr-defined]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    variables["PATH"] = f"{python.parent}:/usr/bin:/bin"
    lines = first_lines()
    assert lines[0] == "make score"
    for line in lines:
        run("bash", "-euo", "pipefail", "-c", line, folder=clone, environment=variables)
    assert pl.read_parquet(clone / "labels.parquet").height == 2000
    assert "Candidates for a cross-list" in (clone / "report.html").read_text(encoding="utf-8")
