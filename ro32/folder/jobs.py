"""The jobs of a run for a folder of labels: one per input file, and those that need no work."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from ro32.errors import DISK_ERRNOS, OutputError, ReadWriteError, UsageError
from ro32.folder import manifest
from ro32.folder.manifest import Entry
from ro32.folder.places import LabelsFolder, labels_folder
from ro32.folder.standing import footer_of, still_valid, undamaged
from ro32.model.classifier import Classifier
from ro32.run.inputs import find_inputs, input_folders
from ro32.run.job import Job, Settings
from ro32.run.journal import FolderChanges, Journal, Stage
from ro32.run.parts import Counts
from ro32.run.plan import make_plan
from ro32.run.prepare import sound_files
from ro32.storage.durable import check_replaceable
from ro32.storage.files import InputFile, Kind, Target, kind_of
from ro32.storage.object_folder import ObjectFolder
from ro32.storage.objects import StoredObject
from ro32.storage.urls import ObjectUrl, is_url

_SUFFIX = ".parquet"


@dataclass(frozen=True, kw_only=True)
class FolderRun:
    """A run for a folder of labels.

    Attributes:
        folder: The folder.
        whole: All of the input as one; its target is the folder.
        jobs: What is to be done for each labels file, by its path within the folder.
        kept: Names of labels files whose input is skipped, which is not to say that it is gone.
        changes: Records what becomes of the labels files.
    """

    folder: LabelsFolder
    whole: Job
    jobs: Mapping[str, Job]
    kept: frozenset[str]
    changes: FolderChanges

    @classmethod
    def prepare(
        cls,
        inputs: Sequence[str],
        folder: Path | ObjectUrl,
        *,
        classifier: Classifier,
        settings: Settings,
        journal: Journal,
    ) -> "FolderRun":
        """Plan a run. Nothing is written.

        Raises:
            Ro32Error: As `score_folder` does.
        """
        journal.enter(Stage.PLAN)
        files = find_inputs(inputs, settings.stores, journal.warn)
        place = resolve_folder(folder, inputs, files) if isinstance(folder, Path) else folder
        target = labels_folder(place, settings.stores)
        if isinstance(target, ObjectFolder):
            check_apart(target, inputs, files)
        names = labels_names(inputs, files)
        plan = make_plan(
            sound_files(files, settings, journal),
            settings.columns,
            settings.part_rows,
            settings.max_expansion,
            settings.categories_column,
        )
        for sentence in plan.faults:
            journal.warn("unreadable_rows", sentence)
        whole = Job(plan=plan, target=target.itself, classifier=classifier, settings=settings)
        changes = FolderChanges(files=len(plan.sources))
        journal.job, journal.folder = whole, changes
        parts = {path: list(group) for path, group in groupby(plan.parts, key=attrgetter("path"))}
        jobs = {}
        for source in plan.sources:
            own = tuple(replace(part, index=index) for index, part in enumerate(parts.get(source.path, ())))
            alone = replace(plan, sources=(source,), parts=own)
            jobs[names[source.path]] = replace(whole, plan=alone, target=target.target(names[source.path]))
        for job in jobs.values():
            if isinstance(job.target, Path):
                check_replaceable(job.target)
        kept = frozenset(names.values()) - frozenset(jobs)
        return cls(folder=target, whole=whole, jobs=jobs, kept=kept, changes=changes)

    def footers(self, gone: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the footers of all labels in the folder, those without input among them."""
        for name in (*self.jobs, *gone):
            footer = footer_of(self.folder.there(name))
            if footer is not None:
                yield footer

    def standing(self, journal: Journal) -> dict[str, Entry]:
        """Return the labels files that are just what would be written again.

        Args:
            journal: Records what became of their rows.
        """
        entries = {}
        listed = manifest.read_entries(self.folder)
        for name, job in self.jobs.items():
            labels = self.folder.there(name)
            footer = footer_of(labels)
            if labels is None or footer is None or not still_valid(job, footer):
                continue
            entry = undamaged(job, footer, name, labels, listed.get(name))
            if entry is not None:
                entries[name] = entry
                rows = footer["rows"]
                journal.unchanged += Counts(
                    rows=job.plan.rows,
                    reused=job.plan.rows - rows.get("unreadable", 0),
                    unreadable=rows.get("unreadable", 0),
                    positives=rows["positives"],
                    uncertain=rows.get("uncertain", 0),
                    unscored=rows["unscored"],
                )
        self.changes.unchanged = len(entries)
        return entries

    def gone(self) -> list[str]:
        """List labels files of ro32 in the folder that have no input any more."""
        known, there = self.kept | self.jobs.keys(), self.folder.there
        return sorted(name for name in self.folder.names() if name not in known and footer_of(there(name)) is not None)


def resolve_folder(folder: Path, inputs: Sequence[str], files: Sequence[InputFile]) -> Path:
    """Follow the links of a folder that is to be written; refuse one whose labels would be papers the next time.

    Raises:
        OutputError: It is a file, or in no folder, or input and output lie in each other.
        ReadWriteError: The disk failed.
    """
    try:
        resolved, found = folder.resolve(), kind_of(folder)
        if found not in {None, Kind.FOLDER}:
            raise OutputError(f"{folder} is {found}; name a folder, or a file without a slash at its end")
        if not resolved.parent.is_dir():
            raise OutputError(f"{folder}: cannot be created: no folder {resolved.parent}; create it, or name another")
        local = [file for file in files if isinstance(file, Path)]
        within = [str(path) for path in input_folders(inputs) if resolved.is_relative_to(path.resolve())]
        within += [str(file) for file in local if file.resolve().is_relative_to(resolved)]
    except (OSError, RuntimeError) as error:  # until Python 3.13 a link to itself is a RuntimeError
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise ReadWriteError(f"{folder}: checking it failed: {error.strerror}; run again") from error
        raise OutputError(f"{folder}: cannot be created: {error}; name a folder that can be looked at") from error
    if within:
        raise _within(folder, within[0])
    return resolved


def check_apart(folder: ObjectFolder, inputs: Sequence[str], files: Sequence[InputFile]) -> None:
    """Refuse a folder in a store whose labels would be papers the next time.

    Raises:
        OutputError: Input and output lie in each other.
    """
    root = (folder.store.root.scheme, folder.store.root.host)
    urls = [ObjectUrl.parse(text) for text in inputs if is_url(text)]
    within = [
        str(url)
        for url in urls
        if (url.scheme, url.host) == root
        and folder.prefix.startswith(f"{url.key.removesuffix('/')}/" if url.key else "")
    ]
    within += [
        str(file)
        for file in files
        if isinstance(file, StoredObject)
        and (file.store.root.scheme, file.store.root.host) == root
        and file.key.startswith(folder.prefix)
    ]
    if within:
        raise _within(folder.itself, within[0])


def _within(folder: Target, found: str) -> OutputError:
    return OutputError(
        f"{folder} and the input {found} lie in each other, so labels would be read as papers; name a folder elsewhere"
    )


def labels_names(inputs: Sequence[str], files: Sequence[InputFile]) -> dict[InputFile, str]:
    """Name the labels files of input files.

    Below an input folder, local or in a store, it is the path within that folder; else the file's name. Labels are
    Parquet, as only that has a footer, so other names get a suffix.

    Args:
        inputs: What was named as input.
        files: The files that it stands for.

    Returns:
        Names by input file.

    Raises:
        UsageError: Two files would have the same name.
    """
    folders = input_folders(inputs)
    urls = [ObjectUrl.parse(text) for text in inputs if is_url(text)]
    names: dict[InputFile, str] = {}
    taken: dict[str, InputFile] = {}
    for file in files:
        name = _name_below(folders, file) if isinstance(file, Path) else _key_below(urls, file)
        name += "" if name.endswith(_SUFFIX) else _SUFFIX
        if name in taken:
            raise UsageError(
                f"{taken[name]} and {file} would both have the labels {name}; name the folder that holds both, or "
                "score them into two folders"
            )
        names[file], taken[name] = name, file
    return names


def _name_below(folders: Sequence[Path], file: Path) -> str:
    base = next((folder for folder in folders if file.is_relative_to(folder)), file.parent)
    return str(file.relative_to(base))


def _key_below(urls: Sequence[ObjectUrl], file: StoredObject) -> str:
    """Do the same for an object; of patterns and of single objects no key is below them."""
    for url in urls:
        folder = f"{url.key.removesuffix('/')}/" if url.key else ""
        root = file.store.root
        if (url.scheme, url.host) == (root.scheme, root.host) and file.key.startswith(folder):
            return file.key.removeprefix(folder)
    return file.name
