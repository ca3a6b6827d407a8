"""docs/library.md: every example gives what the page shows."""

import doctest
import shutil
from pathlib import Path

import pytest

from tests.docs.tables import DOCS


def test_examples_give_what_the_page_shows(
    papers_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(papers_path, tmp_path / "papers.parquet")
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "library.md").read_text(encoding="utf-8").replace("```", "")
    examples = doctest.DocTestParser().get_doctest(text, {}, "library.md", str(DOCS / "library.md"), 0)
    found = doctest.DocTestRunner().run(examples)
    assert found.attempted > 20
    assert found.failed == 0, capsys.readouterr().out
