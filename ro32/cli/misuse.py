"""Reports wrong usage as JSON if the command asks for --log-format json."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ro32.cli.log import Log, LogFormat
from ro32.errors import Ro32Error, UsageError
from ro32.run.journal import new_run_id


class LoggedCommand(click.Command):
    """A command whose options may be wrong before it knows in which format it is to say so."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - as Click's own
    ) -> click.Context:
        """Read a command line.

        Raises:
            AlreadyReported: It is wrong, and JSON lines are asked for; one said so.
        """
        with self._reported(list(args)):
            return super().make_context(info_name, args, parent, **extra)

    @contextmanager
    def _reported(self, args: list[str]) -> Iterator[None]:
        """Report wrong usage in JSON, if the command line, the environment or a file asks for that."""
        try:
            yield
        except (click.UsageError, Ro32Error) as misuse:
            log_format = self._log_format(args)
            if log_format is not LogFormat.JSON:
                raise
            with Log(str(self.name), new_run_id(), log_format, quiet=False).errors():
                if isinstance(misuse, click.UsageError):
                    raise UsageError(misuse.format_message()) from misuse
                raise

    def _log_format(self, args: list[str]) -> LogFormat:
        """Return the format that is asked for, as far as that can be read of a command line that is wrong."""
        settings = {
            **self.context_settings,
            "resilient_parsing": True,
            "ignore_unknown_options": True,
            "allow_extra_args": True,
        }
        with click.Context(self, info_name=self.name, **settings) as context:
            self.parse_args(context, args)
        return LogFormat(context.params.get("log_format") or LogFormat.TEXT)
