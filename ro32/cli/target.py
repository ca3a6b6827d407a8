"""The output file of a report: checked before anything is scored, and written whole."""

from collections.abc import Sequence
from pathlib import Path

from ro32.errors import ReadWriteError
from ro32.run.prepare import refuse_within, resolve_output
from ro32.storage import durable


def check_target(target: Path, sources: Sequence[Path], inputs: Sequence[str] = ()) -> Path:
    """Refuse, before hours of scoring, a target that cannot be written, or that is one of the files to be read.

    Args:
        target: The file.
        sources: Files that are to be read.
        inputs: What was named as papers; a file that would be read as some of them the next time is refused too.

    Returns:
        The file's path, links resolved.

    Raises:
        OutputError: It is one of these.
        ReadWriteError: The disk is full or failed.
    """
    resolved = resolve_output(target, sources)
    refuse_within(resolved, inputs, only_data=True)
    try:
        durable.check_creatable(resolved)
    except OSError as error:
        raise ReadWriteError(f"{target}: writing failed: {error.strerror or error}; nothing was published") from error
    return resolved


def write_target(target: Path, data: bytes) -> None:
    """Let a file appear whole, or not at all.

    Raises:
        ReadWriteError: The disk is full or failed.
    """
    try:
        durable.write(target.resolve(), data)
    except OSError as error:
        raise ReadWriteError(f"{target}: writing failed: {error.strerror or error}; nothing was published") from error
