"""Prepares a job: finds the files, makes the plan, checks the output."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ro32.data.writers import check_name
from ro32.errors import DISK_ERRNOS, InputDataError, OutputError, ReadWriteError
from ro32.model.classifier import Classifier
from ro32.run.inputs import find_inputs, input_folders
from ro32.run.job import Job, Settings
from ro32.run.journal import Journal, Stage
from ro32.run.plan import Plan, make_plan
from ro32.run.skip import sound_files
from ro32.storage.client import StoreSettings
from ro32.storage.durable import check_replaceable, check_room_for_name
from ro32.storage.files import InputFile, Target, require_regular
from ro32.storage.names import is_data
from ro32.storage.object_target import ObjectTarget
from ro32.storage.objects import MAGIC, StoredObject, matches, would_read
from ro32.storage.urls import ObjectUrl, is_url


def prepare(
    inputs: Sequence[str], target: Path | ObjectUrl, *, classifier: Classifier, settings: Settings, journal: Journal
) -> Job:
    """Plan a run for a labels file, and record it in the journal. Nothing is written.

    Raises:
        UsageError: A URL is none, or the target's name promises a form that is not written.
        InputMissingError: An input is not there.
        InputDataError: An input is not what the contract asks for.
        OutputError: The target cannot be created, or is one of the input files.
        ReadWriteError: The disk failed.
    """
    check_name(target)
    journal.enter(Stage.PLAN)
    files = find_inputs(inputs, settings.stores, journal.warn)
    found: Target
    if isinstance(target, Path):
        found = resolve_output(target, files, f", or {target}/ for a labels file per input file")
        refuse_within(found, inputs)
    else:
        found = _look_at(target, inputs, files, settings.stores)
    if isinstance(settings.reuse, Path):
        require_regular(settings.reuse, InputDataError, "name labels that ro32-score wrote, or none")
    plan = plan_files(files, settings, journal)
    journal.job = Job(plan=plan, target=found, classifier=classifier, settings=settings)
    return journal.job


def plan_files(files: Sequence[InputFile], settings: Settings, journal: Journal) -> Plan:
    """Plan files as settings say: damaged ones are skipped or refused, and rows that cannot be read are warned of."""
    sound = sound_files(files, settings, journal)
    plan = make_plan(sound, settings.columns, settings.part_rows, settings.max_expansion, settings.categories_column)
    for sentence in plan.faults:
        journal.warn("unreadable_rows", sentence)
    return plan


def _look_at(url: ObjectUrl, inputs: Sequence[str], files: Sequence[InputFile], stores: StoreSettings) -> ObjectTarget:
    """Look at a target in a store; refuse one of the inputs, and what the next run would read as one."""
    target = ObjectTarget.of(url, stores)
    if any(isinstance(file, StoredObject) and (file.store, file.key) == (target.store, target.key) for file in files):
        raise OutputError(f"{target} is an input itself; name another object")
    for given in (ObjectUrl.parse(text) for text in inputs if is_url(text)):
        if would_read(given, url):
            raise OutputError(
                f"{target} is within the input {given}, so the next run would read its labels as papers; "
                "name an object elsewhere"
            )
    return target


def resolve_output(path: Path, files: Sequence[InputFile], instead: str = "") -> Path:
    """Follow an output's links; refuse what cannot be written or must not be replaced. Nothing is written.

    Refused are: a path in no folder, a folder, device, pipe, socket or link to nothing, an input file under any name,
    the file that stdin, stdout or stderr is, and what a rename could not replace.

    Args:
        path: A file that is to be written.
        files: Files that are to be read.
        instead: What else to say of a folder.

    Raises:
        OutputError: It is one of these, or cannot be looked at.
        ReadWriteError: The disk failed.
    """
    with looked_at(path):
        resolved = path.resolve()
        if not resolved.parent.is_dir():
            raise OutputError(
                f"{path}: cannot be created: no folder {resolved.parent}; name a file in a folder that exists"
            )
        if resolved.is_dir():
            raise OutputError(f"{path} is a folder; name a file in it{instead}")
        require_regular(path, OutputError, "name a file in a folder that can be looked at")
        if resolved.exists():
            # By device and inode, which see through links of both kinds.
            for file in files:
                if isinstance(file, Path) and file.exists() and file.samefile(resolved):
                    raise OutputError(f"{path} is the input file {file} itself; name another file")
            for stream, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
                if _is_open_as(descriptor, resolved):
                    raise OutputError(f"{path} is the file that {stream} is, which would be lost; name another file")
        check_room_for_name(resolved)
        check_replaceable(resolved)
    return resolved


@contextmanager
def looked_at(output: Path) -> Iterator[None]:
    """Report an output that cannot be looked at, as OutputError, or as ReadWriteError if the disk failed."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # until Python 3.13 a link to itself is a RuntimeError
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise ReadWriteError(f"{output}: checking it failed: {error.strerror}; run again") from error
        raise OutputError(f"{output}: cannot be created: {error}; name a place that can be looked at") from error


def _is_open_as(descriptor: int, path: Path) -> bool:
    with suppress(OSError):  # the stream is closed
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def refuse_within(target: Path, inputs: Sequence[str], *, only_data: bool = False) -> None:
    """Refuse a file, links resolved, that the next run would read as papers; see `inputs_with`.

    Raises:
        OutputError: It would, or that cannot be found out.
        ReadWriteError: The disk failed.
    """
    with looked_at(target):
        within = inputs_with([target], inputs, only_data=only_data)
    for text in within:
        raise OutputError(
            f"{target} is within the input {text}, so the next run would read it as papers; name a file elsewhere"
        )


def inputs_with(targets: Sequence[Path], inputs: Sequence[str], *, only_data: bool = False) -> list[str]:
    """List the local inputs that would hold a file: as folders, or as patterns that match its name or its folder.

    Args:
        targets: Files to be written, links resolved.
        inputs: What was named as input.
        only_data: In a folder look for names of data alone, as `is_data` knows them.
    """
    below = [target for target in targets if not only_data or is_data(target.name)]
    found = []
    for text in inputs:
        if is_url(text):
            continue
        folders = [folder.resolve() for folder in input_folders([text])]
        within = any(target.is_relative_to(folder) for folder in folders for target in below)
        if not within and not Path(text).exists():  # a pattern: compared without links in its folders
            parts = Path(os.path.abspath(text)).parts  # noqa: PTH100 - resolve would follow links in the pattern
            fixed = next((at for at, part in enumerate(parts) if MAGIC & set(part)), len(parts))
            root = Path(*parts[:fixed]).resolve()
            own = [target.relative_to(root).parts for target in targets if target.is_relative_to(root)]
            within = any(matches(name, parts[fixed:]) for name in own)
        if within:
            found.append(text)
    return found
