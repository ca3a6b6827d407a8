"""The frame around every command: signals in, exit code out. The one place that turns an error into an exit code."""

import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from ro32.cli import signals
from ro32.errors import Interrupted, Ro32Error, check_interrupted
from ro32.storage.urls import redact

BUG = 70


class ToldError(Exception):
    """An error that was told in another form; only its exit code is left.

    Args:
        code: The exit code.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


def run(command: click.Command, args: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave the process with its exit code.

    Args:
        command: The Click command.
        args: The command line without the program's name; the process's own by default.
    """
    signals.listen()
    try:
        code = exit_code_of(command, args)
    except Interrupted as stop:  # it came while the end was being reported
        code = stop.exit_code
    signals.ignore()
    sys.exit(code)


def exit_code_of(command: click.Command, args: Sequence[str] | None = None) -> int:
    """Run a command, report on stderr what went wrong, and return the exit code."""
    try:
        command.main(args=None if args is None else list(args), prog_name=command.name, standalone_mode=False)
    except click.ClickException as misuse:
        misuse.show()
        return code_for(misuse)
    except click.exceptions.Exit as request:
        return request.exit_code
    except ToldError as told:
        return told.code
    except (Exception, Interrupted) as raised:  # noqa: BLE001 - the last resort: whatever is not ours is a bug
        error = reason_of(raised)
        code = code_for(error)
        if code == BUG:
            click.echo(redact(traceback.format_exc()), err=True, nl=False)
            click.echo(f"{command.name}: this is a bug in ro32; please report it with the lines above", err=True)
        else:
            click.echo(redact(f"{command.name}: {error}"), err=True)
        return code
    return 0


def reason_of(error: BaseException) -> BaseException:
    """Return the interruption that an error followed from, or the error itself.

    A signal may come at any instruction, in a library's too, whose cleaning up then trips over what was not yet set up,
    or which takes the interruption for a failure of its own. So whatever fails after a signal, failed by it.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, Interrupted):
            return link
        link = link.__cause__ or link.__context__
    try:
        check_interrupted()
    except Interrupted as stop:
        return stop
    return error


def code_for(error: BaseException) -> int:
    """Return the exit code that an error ends a command with."""
    return error.exit_code if isinstance(error, Ro32Error | Interrupted | click.ClickException) else BUG
