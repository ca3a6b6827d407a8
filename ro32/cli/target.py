"""The file of a report: refused before anything is scored if it cannot be, and written whole."""

from collections.abc import Sequence
from pathlib import Path

from ro32.errors import OutputError, ReadWriteError
from ro32.storage import durable


def check_target(target: Path, sources: Sequence[Path]) -> None:
    """Refuse, before hours of scoring, a target in no folder, one that is a folder, or one of the files to be read.

    Raises:
        OutputError: It is one of these.
    """
    if not target.parent.is_dir():
        raise OutputError(
            f"{target}: cannot be created: no folder {target.parent}; name a file in a folder that exists"
        )
    if target.is_dir():
        raise OutputError(f"{target} is a folder; name a file in it")
    for source in sources:
        if target.exists() and source.exists() and source.samefile(target):  # sees through links of both kinds
            raise OutputError(f"{target} is {source}, which is to be read; name another file")


def write_target(target: Path, data: bytes) -> None:
    """Let a file appear whole, or not at all.

    Raises:
        ReadWriteError: The disk is full or failed.
    """
    try:
        durable.write(target.resolve(), data)
    except OSError as error:
        raise ReadWriteError(f"{target}: writing failed: {error.strerror or error}; nothing was published") from error
