"""What a command leaves behind, and how a test calls one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import click


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    code: int
    stdout: str
    stderr: str


Invoke = Callable[[click.Command, Sequence[str | Path]], Outcome]
Score = Callable[..., Outcome]
Run = Callable[..., Outcome]


def leftovers(target: Path) -> list[Path]:
    """List what runs that did not end well left beside a target: finished parts, and temporary files."""
    return [path for path in target.parent.glob(f".{target.name}.*") if path.suffix in {".parts", ".tmp"}]
