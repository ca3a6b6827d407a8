"""The walk is short: how many of our frames lie between a command and the model, counted where the model is called."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import onnxruntime as ort
import pytest

from tests.command_line import Score

MOST_FRAMES = 5


def our_frames() -> Iterator[str]:
    """Yield the functions of ro32 that are at work in this thread, the innermost first, up to the command."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and (module := str(frame.f_globals["__name__"])) != "ro32.cli.score":
        if module.partition(".")[0] == "ro32":
            yield f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back


@pytest.mark.parametrize("flags", [(), ("--full",)])
def test_five_frames_lie_between_the_command_and_the_session(
    score: Score,
    source: Path,
    tmp_path: Path,
    cascade_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
) -> None:
    handed_over, called = set[tuple[str, ...]](), set[tuple[str, ...]]()
    submit, run = ThreadPoolExecutor.submit, ort.InferenceSession.run

    def submitted(*args: Any) -> Any:
        handed_over.add(tuple(our_frames()))
        return submit(*args)

    def ran(*args: Any) -> Any:
        called.add(tuple(our_frames()))
        return run(*args)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submitted)
    monkeypatch.setattr(ort.InferenceSession, "run", ran)
    outcome = score(source, "-o", tmp_path / "labels.parquet", *flags, bundle=cascade_bundle)
    assert outcome.code == 0, outcome.stderr
    (main,), (thread,) = handed_over, called
    assert main[::-1] == (
        "ro32.run.walk.score_file",
        "ro32.run.engine.score_locally",
        "ro32.run.engine.score_parts",
    )
    assert thread[::-1] == ("ro32.model.classifier.Classifier.score", "ro32.model.classifier.Classifier.logits")
    assert len(main) + len(thread) <= MOST_FRAMES
