"""From what was asked for to a job that can be done: files found, plan made, output possible."""

from collections.abc import Sequence
from pathlib import Path

from ro32.data.writers import check_name
from ro32.errors import DISK_ERRNOS, OutputError, ReadWriteError
from ro32.model.classifier import Classifier
from ro32.run.inputs import find_inputs
from ro32.run.job import Job, OnError, Settings
from ro32.run.journal import Journal, Stage
from ro32.run.plan import make_plan
from ro32.run.skip import leave_out_damaged
from ro32.storage.client import StoreSettings
from ro32.storage.files import InputFile
from ro32.storage.object_target import ObjectTarget
from ro32.storage.objects import StoredObject
from ro32.storage.urls import ObjectUrl


def prepare(
    inputs: Sequence[str], target: Path | ObjectUrl, *, classifier: Classifier, settings: Settings, journal: Journal
) -> Job:
    """Plan a run. Nothing is written.

    Args:
        inputs: Files, folders, glob patterns, or URLs of these.
        target: The labels file.
        classifier: The model.
        settings: How to score.
        journal: Told of the job, and of files that are left out.

    Raises:
        UsageError: A URL is none, or not allowed, or the target's name promises a form that is not written.
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for.
        OutputError: The target cannot be created, or is one of the input files.
        ReadWriteError: The disk failed.
    """
    check_name(target)
    journal.enter(Stage.PLAN)
    files = find_inputs(inputs, settings.stores, journal.warn)
    found = (
        resolve_output(target, files, f", or {target}/ for a labels file per input file")
        if isinstance(target, Path)
        else _look_at(target, files, settings.stores)
    )
    sound = sound_files(files, settings, journal)
    plan = make_plan(sound, settings.columns, settings.part_rows, settings.max_expansion)
    for sentence in plan.faults:
        journal.warn("unreadable_rows", sentence)
    journal.job = Job(plan=plan, target=found, classifier=classifier, settings=settings)
    return journal.job


def _look_at(url: ObjectUrl, inputs: Sequence[InputFile], stores: StoreSettings) -> ObjectTarget:
    """Look at a target in a store; refuse one of the inputs."""
    target = ObjectTarget.of(url, stores)
    if any(isinstance(file, StoredObject) and (file.store, file.key) == (target.store, target.key) for file in inputs):
        raise OutputError(f"{target} is an input itself; name another object")
    return target


def sound_files(files: Sequence[InputFile], settings: Settings, journal: Journal) -> Sequence[InputFile]:
    """Return the input files without those that are damaged, where settings say that these are to be left out.

    Args:
        files: The files in order.
        settings: How to score.
        journal: Told of files that are left out.

    Raises:
        InputMissingError: A file is not there.
        InputDataError: No file is sound.
        ReadWriteError: The disk or the store failed.
    """
    if settings.on_error is not OnError.SKIP_FILE:
        return files
    journal.enter(Stage.VERIFY)
    sound, skipped = leave_out_damaged(files, settings.columns, settings.max_expansion)
    journal.skipped += skipped
    for file in skipped:
        journal.warn("skipped_file", f"{file.path} is left out: {file.reason}")
    journal.enter(Stage.PLAN)
    return sound


def resolve_output(path: Path, inputs: Sequence[InputFile], instead: str = "") -> Path:
    """Follow an output's links; refuse one in no folder, one that is a folder, or one of the inputs under any name.

    Args:
        path: A file that is to be written.
        inputs: Files that are to be read.
        instead: What to say of a folder besides.

    Raises:
        OutputError: It is one of these, or cannot be looked at.
        ReadWriteError: The disk failed.
    """
    try:
        resolved = path.resolve()
        if not resolved.parent.is_dir():
            raise OutputError(
                f"{path}: cannot be created: no folder {resolved.parent}; name a file in a folder that exists"
            )
        if resolved.is_dir():
            raise OutputError(f"{path} is a folder; name a file in it{instead}")
        for file in inputs if resolved.exists() else ():
            # By device and inode, which see through links of both kinds.
            if isinstance(file, Path) and file.exists() and file.samefile(resolved):
                raise OutputError(f"{path} is the input file {file} itself; name another file")
    except (OSError, RuntimeError) as error:  # until Python 3.13 a link to itself is a RuntimeError
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise ReadWriteError(f"{path}: looking at it failed: {error.strerror}; run again") from error
        raise OutputError(
            f"{path}: cannot be created: {error}; name a file in a folder that can be looked at"
        ) from error
    return resolved
