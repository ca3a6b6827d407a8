"""The output file of a report: checked before anything is scored, and written whole."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ro32.errors import ReadWriteError
from ro32.run.prepare import refuse_within, resolve_output
from ro32.storage import durable


def check_target(target: Path, sources: Sequence[Path], inputs: Sequence[str] = ()) -> Path:
    """Refuse, before hours of scoring, a target that cannot be written, or is or will be among what is read.

    Args:
        target: The file.
        sources: Files that are to be read.
        inputs: What was named as papers: the next run must not read the target as some of them.

    Returns:
        The file's path, links resolved.
    """
    resolved = resolve_output(target, sources)
    refuse_within(resolved, inputs, only_data=True)
    with _failures_reported(target):
        durable.check_creatable(resolved)
    return resolved


def write_target(target: Path, data: bytes) -> None:
    """Let a file appear whole, or not at all."""
    with _failures_reported(target):
        durable.write(target.resolve(), data)


@contextmanager
def _failures_reported(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReadWriteError(f"{target}: writing failed: {error.strerror or error}; nothing was published") from error
