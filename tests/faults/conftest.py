"""What the fault tests share: two lanes that run processes side by side, and the counts at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import tally
from tests.faults.lanes import Lanes
from tests.faults.scene import make_papers


@pytest.fixture(scope="session")
def lanes(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path, papers_path: Path) -> Iterator[Lanes]:
    """Where faults are injected."""
    with Lanes(tmp_path_factory.mktemp("lanes"), bundle=tiny_bundle, papers=make_papers(papers_path)) as lanes:
        yield lanes


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was injected and what was checked."""
    if lines := tally.lines():
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
