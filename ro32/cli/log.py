"""Lines on stderr: sentences for people, or JSON objects for machines, each with the run's id."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

from tqdm import tqdm

import ro32.storage
from ro32.cli.process import BUG, AlreadyReported, code_for, message, reason_of
from ro32.errors import Interrupted
from ro32.run.journal import Warned
from ro32.storage.urls import redact


class LogFormat(StrEnum):
    """What a line is."""

    TEXT = "text"
    JSON = "json"


class _Retries(logging.Handler):
    """Hands messages on."""

    def __init__(self, on_message: Callable[..., None]) -> None:
        super().__init__()
        self._on_message = on_message

    def emit(self, record: logging.LogRecord) -> None:
        self._on_message("retry", record.getMessage())


class Log:
    """Writes lines about one run, which its id identifies, to stderr; quietly, warnings and errors alone."""

    def __init__(self, name: str, run_id: str, log_format: LogFormat, *, quiet: bool) -> None:
        self._name = name
        self._run_id = run_id
        self._json = log_format is LogFormat.JSON
        self._quiet = quiet

    @property
    def on_progress(self) -> Callable[..., None] | None:
        """What gets a run's lines of progress; None if a terminal shows them better."""
        return partial(self.info, "progress") if self._json else None

    def info(self, event: str, message: str, **fields: object) -> None:
        """Report an event with a sentence, and with fields, JSON values, that only JSON lines hold."""
        if not self._quiet:
            self._write("info", event, message, message, fields)

    def warn(self, warned: Warned) -> None:
        """Report what an operator should know."""
        self._write("warning", warned.kind, warned.message, f"{self._name}: warning: {warned.message}", {})

    @contextmanager
    def retries(self) -> Iterator[None]:
        """Report every request to a store that is tried again."""
        handler = _Retries(self.info)
        logger = logging.getLogger(ro32.storage.__name__)
        before = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.level, logger.propagate = before

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Where lines are JSON, report an error in one of them; else let it go on to where all errors are reported.

        Raises:
            AlreadyReported: Carries the exit code of an error that was reported here.
        """
        try:
            yield
        except (Exception, Interrupted) as raised:
            if not self._json:
                raise
            error = reason_of(raised)
            code = code_for(error)
            fields: dict[str, object] = {"exit_code": code, "error": type(error).__name__}
            if code == BUG:
                fields["traceback"] = traceback.format_exc()
            self._write("error", "error", str(error), "", fields)
            raise AlreadyReported(code) from raised

    def _write(self, level: str, event: str, sentence: str, text: str, fields: dict[str, object]) -> None:
        line = message(text)
        if self._json:
            head = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "level": level,
                "event": event,
                "run_id": self._run_id,
                "message": message(sentence),
            }
            line = redact(json.dumps(head | fields))  # ASCII, so it is JSON whatever the encoding of stderr
        tqdm.write(line, file=sys.stderr)  # clears a bar that is there, and draws it again below
