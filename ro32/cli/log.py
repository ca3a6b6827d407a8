"""Lines on stderr: sentences for people, or JSON objects for machines, each with the run's id."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

import click
from tqdm import tqdm

import ro32.storage
from ro32.cli.process import BUG, AlreadyReported, code_for, message, reason_of, trace
from ro32.errors import Ro32Error, UsageError
from ro32.run.journal import Warned, new_run_id
from ro32.storage.urls import redact


class LogFormat(StrEnum):
    """What a line is."""

    TEXT = "text"
    JSON = "json"


class Log:
    """Writes lines about one run, which its id identifies, to stderr; if quiet, only warnings and errors."""

    def __init__(self, name: str, run_id: str, log_format: LogFormat, *, quiet: bool) -> None:
        self._name = name
        self._run_id = run_id
        self._json = log_format is LogFormat.JSON
        self._quiet = quiet

    @property
    def on_progress(self) -> Callable[..., None] | None:
        """Where a run's lines of progress go; None if they are text, which a display shows better."""
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
        logger = logging.getLogger(ro32.storage.__name__)
        before = logger.level

        # No handler: logging would end the process with a traceback if a signal arrived while one is made.
        def report(record: logging.LogRecord) -> bool:
            self.info("retry", record.getMessage())
            return False

        logger.addFilter(report)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeFilter(report)
            logger.setLevel(before)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Where lines are JSON, report an error in one of them; else let it go on to where all errors are reported."""
        try:
            yield
        except BaseException as raised:  # Polars' panics too
            if not self._json:
                raise
            raise self.reported(raised) from raised

    def reported(self, raised: BaseException) -> AlreadyReported:
        """Report the error that is being handled, and return what carries its exit code on."""
        error = reason_of(raised)
        code = code_for(error)
        fields: dict[str, object] = {"exit_code": code, "error": type(error).__name__}
        if code == BUG:
            fields["traceback"] = trace()
        self._write("error", "error", str(error), "", fields)
        return AlreadyReported(code)

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
        # Clears a bar that is there, and draws it again below. In one piece, which no signal tears.
        tqdm.write(f"{line}\n", file=sys.stderr, end="")


class LoggedCommand(click.Command):
    """A command whose options may be wrong before it knows in which format to report that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read a command line; if it is wrong, and asks for JSON lines anywhere, report that in one."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except (click.UsageError, Ro32Error) as misuse:
            if self._log_format(ctx, given) is not LogFormat.JSON:
                raise
            error = UsageError(misuse.format_message()) if isinstance(misuse, click.UsageError) else misuse
            log = Log(str(self.name), new_run_id(), LogFormat.JSON, quiet=False)
            raise log.reported(error) from misuse

    def _log_format(self, wrong: click.Context, args: list[str]) -> LogFormat:
        """Return the format that a wrong command line, the environment or a file asks for, as far as it can be read."""
        settings = {
            **self.context_settings,
            "default_map": wrong.default_map,
            "resilient_parsing": True,
            "ignore_unknown_options": True,
            "allow_extra_args": True,
        }
        with click.Context(self, info_name=self.name, **settings) as context:
            context.meta.update(wrong.meta)
            super().parse_args(context, args)
        return LogFormat(context.params.get("log_format") or LogFormat.TEXT)
