"""Progress: a bar on a terminal, a line now and then elsewhere."""

import io
import time

import pytest

from ro32.cli.progress import ProgressDisplay
from ro32.run.walk import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressDisplay() as display:
        display.update(Progress(papers=100, papers_done=0, parts=4, parts_done=0))
        display.update(Progress(papers=100, papers_done=100, parts=4, parts_done=4))
    assert "100/100" in stream.getvalue()
    assert "part 4/4" in stream.getvalue()


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressDisplay() as display:
        for done in range(0, 101, 10):
            display.update(Progress(papers=6000, papers_done=done, parts=2, parts_done=0))
            now += 10
    lines = stream.getvalue().splitlines()
    assert lines[0] == "30 of 6,000 papers, 0 of 2 parts, 1.0 papers/s, 100 min left"
    assert len(lines) == 3


def test_a_resumed_run_does_not_count_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressDisplay() as display:
        now += 20  # until the model is loaded
        for done in (6_000, 6_000, 6_300):
            display.update(Progress(papers=9_300, papers_done=done, parts=31, parts_done=done // 300))
            now += 50
    assert stream.getvalue().splitlines() == [
        "6,000 of 9,300 papers, 20 of 31 parts, 0.0 papers/s, time left unknown",
        "6,300 of 9,300 papers, 21 of 31 parts, 3.0 papers/s, 17 min left",
    ]


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressDisplay(quiet=True) as display:
        display.update(Progress(papers=100, papers_done=50, parts=1, parts_done=0))
    assert stream.getvalue() == ""
