"""The frame around every command: signals in, exit code out. The one place that turns an error into an exit code."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from ro32 import errors
from ro32.cli import signals, streams
from ro32.errors import InputMissingError, Interrupted, ReadWriteError, Ro32Error, UsageError
from ro32.printable import printable, short
from ro32.storage.urls import redact

BUG = 70
_TRACEBACK_CHARS = 20_000
_EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "sklearn": "train",
    "scipy": "refresh",
    "matplotlib": "train",
    "onnx": "export",
    "optimum": "export",
    "huggingface_hub": "hub",
    "prometheus_client": "metrics",
    "obstore": "cloud",
    "ray": "ray",
}
"""Packages that a scoring host does not have, and the extra of ro32 that installs each."""


class AlreadyReported(Exception):  # noqa: N818 - it is no error of its own
    """An error was reported in another form; only its exit code is left."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


def run(command: click.Command, args: Sequence[str] | None = None) -> NoReturn:
    """Run a command, on the process's own command line by default, and leave the process with its exit code."""
    streams.replace()
    signals.listen()
    try:
        code = exit_code_of(command, args)
        signals.ignore()
    except Interrupted as stop:  # it came while the end was being reported, or just after
        signals.ignore()
        code = _say(command, stop)
    sys.exit(code)


def exit_code_of(command: click.Command, args: Sequence[str] | None = None) -> int:
    """Run a command, report on stderr what went wrong, and return the exit code."""
    code = _report(command, args)
    try:
        streams.flush()
    except Ro32Error as error:
        code = code or _say(command, error)
    return code


def _report(command: click.Command, args: Sequence[str] | None) -> int:
    try:
        command.main(args=None if args is None else list(args), prog_name=command.name, standalone_mode=False)
    except click.ClickException as misuse:
        misuse.message = message(misuse.message)  # type: ignore[misc]  # final for subclasses
        misuse.show()
        return code_for(misuse)
    except AlreadyReported as reported:
        return reported.code
    except SystemExit as end:
        if not isinstance(end.__context__, OSError):
            raise
        return ReadWriteError.exit_code  # so Click ends a process whose pipe broke, with 1
    except BaseException as raised:  # noqa: BLE001 - the last resort: whatever is not ours is a bug, Polars' panics too
        error = reason_of(raised)
        if code_for(error) != BUG:
            return _say(command, error)
        click.echo(trace(), err=True, nl=False)
        click.echo(f"{command.name}: this is a bug in ro32; please report it with the lines above", err=True)
        return BUG
    return 0


def _say(command: click.Command, error: BaseException) -> int:
    if not isinstance(error, streams.OutputGoneError):
        click.echo(f"{command.name}: {message(str(error))}", err=True)
    return code_for(error)


def message(text: str) -> str:
    """Write a message as it is reported: one line of bounded length, without secrets and invisible characters."""
    return short(printable(redact(text)))


def trace() -> str:
    """Write the trace of the error that is being handled as a message is: of bounded length, without secrets."""
    return short(printable(redact(traceback.format_exc()), lines=True), _TRACEBACK_CHARS)


def reason_of(error: BaseException) -> BaseException:
    """Return the cause of an error: an interruption, a shortage of memory, threads or files, or the error itself.

    A signal may interrupt a library at any instruction. The library may then fail to clean up, or report the
    interruption as a failure of its own. So every error after a signal is taken for the interruption.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, Interrupted):
            return link
        link = link.__cause__ or link.__context__
    try:
        errors.check_interrupted()
    except Interrupted as stop:
        return stop
    if isinstance(error, FileNotFoundError):
        try:
            Path.cwd()
        except FileNotFoundError:
            return InputMissingError(
                "the working folder is gone; change to one that exists, or name files by whole paths"
            )
    if isinstance(error, ModuleNotFoundError) and (extra := _EXTRAS.get((error.name or "").partition(".")[0])):
        return UsageError(f"this needs the package {error.name}; run: pip install 'ro32[{extra}]'")
    return errors.shortage(error) or error


def code_for(error: BaseException) -> int:
    """Return the exit code that an error ends a command with."""
    return error.exit_code if isinstance(error, Ro32Error | Interrupted | click.ClickException) else BUG
