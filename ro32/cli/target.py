"""The output file of a report: checked before anything is scored, and written whole."""

from collections.abc import Sequence
from pathlib import Path

from ro32.errors import ReadWriteError
from ro32.run.prepare import resolve_output
from ro32.storage import durable


def check_target(target: Path, sources: Sequence[Path]) -> None:
    """Refuse, before hours of scoring, a target that cannot be written, or that is one of the files to be read.

    Raises:
        OutputError: It is one of these.
        ReadWriteError: The disk is full or failed.
    """
    resolved = resolve_output(target, sources)
    try:
        durable.check_creatable(resolved)
    except OSError as error:
        raise ReadWriteError(f"{target}: writing failed: {error.strerror or error}; nothing was published") from error


def write_target(target: Path, data: bytes) -> None:
    """Let a file appear whole, or not at all.

    Raises:
        ReadWriteError: The disk is full or failed.
    """
    try:
        durable.write(target.resolve(), data)
    except OSError as error:
        raise ReadWriteError(f"{target}: writing failed: {error.strerror or error}; nothing was published") from error
