"""Skips damaged files of an input of several files, with --on-error skip-file.

Every file is decoded once before the plan is made. So the plan, its parts and what a killed run leaves are about the
same files from the first paper to the last, and no file is in the labels in part.
"""

from collections.abc import Sequence

from ro32.data import sources
from ro32.data.papers import check_schema
from ro32.errors import InputDataError
from ro32.run.job import OnError, Settings
from ro32.run.journal import Journal, SkippedFile, Stage
from ro32.storage.files import InputFile, changes_reported


def sound_files(files: Sequence[InputFile], settings: Settings, journal: Journal) -> Sequence[InputFile]:
    """Return the input files in order, without the damaged ones where settings say that these are to be skipped.

    Raises:
        InputDataError: No file is sound.
        InputMissingError: A file does not exist or may not be read.
        ReadWriteError: The disk or the store failed.
        TryAgainError: A file changed while it was read.
    """
    if settings.on_error != OnError.SKIP_FILE:
        return files
    journal.enter(Stage.VERIFY)
    damaged: dict[InputFile, InputDataError] = {}
    for path in files:
        try:
            with changes_reported(path):
                _verify(path, settings)
        except InputDataError as error:
            damaged[path] = error
    if damaged and len(damaged) == len(files):
        first = damaged[files[0]]
        raise first if len(files) == 1 else InputDataError(f"none of {len(files)} files is sound; the first: {first}")
    for path, reason in damaged.items():
        journal.skipped.append(SkippedFile(path=str(path), reason=str(reason)))
        journal.warn("skipped_file", f"{path} is skipped: {reason}")
    journal.enter(Stage.PLAN)
    return [path for path in files if path not in damaged]


def _verify(path: InputFile, settings: Settings) -> None:
    found = sources.survey(path, settings.max_expansion, settings.columns.names)
    check_schema(path, found.schema, settings.columns)
    rows = sum(batch.num_rows for _, batch in sources.read_batches(path, settings.columns.names))
    if rows != found.rows:
        raise InputDataError(
            f"{path}: damaged: its footer announces {found.rows} rows, found {rows}; get the file again"
        )
