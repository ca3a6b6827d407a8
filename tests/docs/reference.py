"""The page of all commands and options, made from the code: docs/reference/commands.md. `make docs` writes it again."""

import html
import re
from collections.abc import Iterator

import click

from tests.docs.commands import ROOT, SCRIPTS, command_named, context_of

REFERENCE = ROOT / "docs" / "reference" / "commands.md"
_HEAD = """# Commands

`make docs` generates this page from the code; `--help` prints the same. Options of `ro32-score` can also come from
[a file and from the environment](../operations.md#options-from-a-file-and-from-the-environment), where `--part-rows` is
`RO32_PART_ROWS`.
"""


def reference() -> str:
    """Return the page's text."""
    return "\n".join([_HEAD, *(line for name in SCRIPTS for line in _command(command_named(name), name, "##"))])


def _command(command: click.Command, name: str, level: str) -> Iterator[str]:
    with context_of(command, name) as context:
        command = context.command
        paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
        examples = [part.removeprefix("Example: ") for part in paragraphs if part.startswith("Example: ")]
        yield f"{level} {name}\n"
        yield "\n\n".join(part for part in paragraphs if not part.startswith("Example: ")) + "\n"
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        yield "\n".join(["```text", usage, "```\n", "For example:\n", "```text", *examples, "```\n"])
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and record[1]:  # the text describes arguments
                yield f"- `{record[0]}`: {_described(record[1])}"
        yield ""
    for sub in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _command(sub, f"{name} {sub.name}", f"{level}#")


def _described(words: str) -> str:
    """Set what a help text adds in brackets (variable, default, range) apart from its sentences."""
    words = re.sub(r"\s+\[env var: RO32_\w+\]|(?<=\[)env var: RO32_\w+; ", "", words)  # see the head
    return re.sub(r"\s+\[([^\[\]]*)\]", r" *(\1)*", html.escape(words, quote=False))
