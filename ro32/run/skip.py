"""Skips damaged files of an input of several files, with --on-error skip-file.

Every file is decoded once before the plan is made. So the plan, its parts and what a killed run leaves are about the
same files from the first paper to the last, and no file is in the labels in part.
"""

from collections.abc import Sequence

from ro32.data import sources
from ro32.data.papers import Columns, check_schema
from ro32.errors import InputDataError
from ro32.run.journal import SkippedFile
from ro32.storage.files import InputFile, changes_reported


def leave_out_damaged(
    files: Sequence[InputFile], columns: Columns, max_expansion: float
) -> tuple[list[InputFile], list[SkippedFile]]:
    """Decode every file, and tell the sound ones from those that are not what an input should be.

    Args:
        files: Input files in order.
        columns: Names of the columns to read.
        max_expansion: Uncompressed bytes that a file may announce for each byte it has.

    Returns:
        The sound files in order, and the others with what is wrong with them.

    Raises:
        InputDataError: No file is sound.
        InputMissingError: A file does not exist or may not be read.
        ReadWriteError: The disk failed.
        TryAgainError: A file changed while it was read.
    """
    sound: list[InputFile] = []
    skipped: list[SkippedFile] = []
    first: InputDataError | None = None
    for path in files:
        try:
            with changes_reported(path):
                _verify(path, columns, max_expansion)
        except InputDataError as error:
            first = first or error
            skipped.append(SkippedFile(path=str(path), reason=str(error)))
        else:
            sound.append(path)
    if first is not None and not sound:
        raise first if len(files) == 1 else InputDataError(f"none of {len(files)} files is sound; the first: {first}")
    return sound, skipped


def _verify(path: InputFile, columns: Columns, max_expansion: float) -> None:
    found = sources.survey(path, max_expansion)
    check_schema(path, found.schema, columns)
    rows = sum(batch.num_rows for _, batch in sources.read_batches(path, columns.names))
    if rows != found.rows:
        raise InputDataError(
            f"{path}: damaged: its footer announces {found.rows} rows, found {rows}; get the file again"
        )
