"""Options from a TOML file and from the environment, validated like those on the command line."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ro32.cli.pipes import open_pipe
from ro32.errors import UsageError, nearest
from ro32.storage.files import require_regular

CONFIG = f"{__name__}.path"
"""Where a Click context's `meta` has the file that was read."""
_MAX_BYTES = 1 << 20  # a dump that is named by mistake is not read as options
_LIKELY_TYPO = 0.8  # similarity, 0 to 1, above which a variable that names no option was meant to name one


def read_config(context: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """Make the options of a file the defaults of a command. A Click callback.

    Keys are the names of options without dashes in front, and `papers` for the arguments. Relative paths are relative
    to the working folder, as on the command line. A wrong command line is read twice, but its file once, which may be a
    pipe of the shell.
    """
    if path is None or CONFIG in context.meta:
        return
    pipe = open_pipe(str(path))
    if pipe is None:
        require_regular(path, UsageError, "name a TOML file with --config")
    context.meta[CONFIG] = path
    try:
        with path.open("rb") if pipe is None else os.fdopen(pipe, "rb", closefd=False) as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise UsageError(f"--config {path}: longer than {_MAX_BYTES:,} bytes; name a TOML file")
        given = tomllib.loads(content.decode("utf-8-sig"))  # as Windows' editors write it
    except OSError as error:
        raise click.UsageError(f"--config {path}: cannot be read: {error.strerror}; name a TOML file") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--config {path}: is not TOML: {error}") from error
    context.default_map = dict(_checked(context, path, given))


def _checked(context: click.Context, path: Path, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names of Click's parameters and their values, as text or truth value."""
    options = {  # the arguments, and every option with a variable except --config
        max(parameter.opts, key=len).removeprefix("--"): parameter
        for parameter in context.command.params
        if parameter.expose_value and (not isinstance(parameter, click.Option) or parameter.show_envvar)
    }
    for key, value in given.items():
        if key not in options:
            raise click.UsageError(f"--config {path}: there is no option {key!r}{nearest(key, options)}")
        parameter = options[key]
        try:
            text = _as_given(parameter, value)
            parameter.type_cast_value(context, text)
        except (click.BadParameter, ValueError) as error:  # the latter of a number with more digits than Python prints
            raise click.UsageError(f"--config {path}: {key}: {error}") from error
        yield str(parameter.name), text


def _as_given(parameter: click.Parameter, value: object) -> object:
    """Return a value of TOML as the command line would give it, so that both mean the same."""
    if isinstance(parameter, click.Argument):
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and values and all(isinstance(item, str) and "\0" not in item for item in values):
            return tuple(values)
        raise click.BadParameter(f"expected a string or a list of strings, found {value!r}")
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if isinstance(value, bool):
            return value
        raise click.BadParameter(f"expected true or false, found {value!r}")
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise click.BadParameter(f"expected one string or number, found {value!r}")


def mistyped_variables(context: click.Context, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield a sentence for each variable of the environment that looks like one of a command's options, and is none."""
    prefix = f"{context.auto_envvar_prefix}_"
    options = {f"{prefix}{str(parameter.name).upper()}" for parameter in context.command.params}
    for name in sorted(environment):
        if name.startswith(prefix) and name not in options and (hint := nearest(name, options, _LIKELY_TYPO)):
            yield f"the variable {name} sets no option{hint}"
