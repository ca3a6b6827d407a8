"""The manual pages: each command's options and examples in troff, made from the code. `make docs` writes them again.

Source of the form: man-pages(7) and groff_man(7).
"""

from collections.abc import Iterator
from pathlib import Path

import click

from ro32.errors import Ro32Error
from tests.docs.commands import SCRIPTS, command_named, context_of

MANUAL = Path(__file__).parents[2] / "docs" / "man"


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each manual page's file and text."""
    for name in SCRIPTS:
        yield from _pages(command_named(name), name)


def _pages(command: click.Command, name: str) -> Iterator[tuple[Path, str]]:
    yield MANUAL / f"{name.replace(' ', '-')}.1", "".join(f"{line}\n" for line in _page(command, name))
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            yield from _pages(sub, f"{name} {sub.name}")


def _page(command: click.Command, name: str) -> Iterator[str]:
    with context_of(command, name) as context:
        command = context.command
        title = name.replace(" ", "-")
        paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
        examples = [part.removeprefix("Example: ") for part in paragraphs if part.startswith("Example: ")]
        first, *rest = [part for part in paragraphs if not part.startswith("Example: ")]
        yield f'.TH "{title.upper()}" "1" "" "ro32" "ro32"'
        yield ".SH NAME"
        yield f"{_text(title)} \\- {_text(first.rstrip('.'))}"
        yield ".SH SYNOPSIS"
        yield f".B {_text(name)}"
        yield _text(" ".join(command.collect_usage_pieces(context)))
        if rest:
            yield ".SH DESCRIPTION"
            yield "\n.PP\n".join(map(_text, rest))
        yield ".SH OPTIONS"
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None:
                yield ".TP"
                yield f".B {_text(record[0])}"
                yield _text(record[1])
        if isinstance(command, click.Group):
            yield ".SH COMMANDS"
            for sub in command.commands.values():
                yield ".TP"
                yield f".BR {title}-{sub.name} (1)"
                yield _text(sub.get_short_help_str(200))
        yield ".SH EXAMPLES"
        for example in examples:
            yield ".nf"
            yield _text(example)
            yield ".fi"
        yield ".SH EXIT STATUS"
        yield ".TP\n.B 0\ndone"
        errors: list[type[Ro32Error]] = [Ro32Error]
        errors += [error for error in Ro32Error.__subclasses__() if error.__module__ == Ro32Error.__module__]
        for error in errors:
            yield f".TP\n.B {error.exit_code}\n{_text(_meaning(error))}"
        yield ".TP\n.B 129, 130, 143, 152\nstopped by SIGHUP, SIGINT, SIGTERM, SIGXCPU"


def _meaning(error: type[Ro32Error]) -> str:
    return "a bug in ro32" if error is Ro32Error else (error.__doc__ or "").splitlines()[0].rstrip(".")


def _text(words: str) -> str:
    r"""Escape what troff reads as its own: backslashes, hyphens that are options', dots at the start of a line."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
