"""The jobs of a run for a folder of labels: one per input file, and those that need no work."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from ro32.errors import OutputError, UsageError
from ro32.folder import manifest
from ro32.folder.manifest import Entry
from ro32.folder.standing import counts_if_valid, undamaged
from ro32.model.classifier import Classifier
from ro32.run.inputs import find_inputs, input_folders
from ro32.run.job import Job, Settings
from ro32.run.journal import FolderChanges, Journal, Stage
from ro32.run.prepare import inputs_with, looked_at, plan_files
from ro32.run.reuse import footer_of
from ro32.storage.durable import check_replaceable, check_room_for_name
from ro32.storage.files import FileKind, InputFile, Target, file_at, kind_of
from ro32.storage.folders import Folder, LocalFolder, ObjectFolder
from ro32.storage.objects import StoredObject, would_read
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

    folder: Folder
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
        """Plan a run; raises as `score_folder` does. Nothing is written."""
        journal.enter(Stage.PLAN)
        files = find_inputs(inputs, settings.stores, journal.warn)
        names = labels_names(inputs, files)
        target: Folder
        if isinstance(folder, Path):
            target = LocalFolder(resolve_folder(folder, inputs, names))
        else:
            target = ObjectFolder.of(folder, settings.stores)
            check_apart(target, inputs, names)
        plan = plan_files(files, settings, journal)
        whole = Job(plan=plan, target=target.target(""), classifier=classifier, settings=settings)
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
                with looked_at(job.target):
                    check_room_for_name(job.target)
                    check_replaceable(job.target)
        kept = frozenset(names.values()) - frozenset(jobs)
        return cls(folder=target, whole=whole, jobs=jobs, kept=kept, changes=changes)

    def footers(self, gone: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the footers of all labels in the folder, those without input among them."""
        yield from filter(None, map(self._footer, (*self.jobs, *gone)))

    def standing(self, journal: Journal) -> dict[str, Entry]:
        """Return the labels files that are just what would be written again; their rows are counted in the journal."""
        entries = {}
        listed = manifest.read_entries(self.folder)
        for name, job in self.jobs.items():
            labels = file_at(self.folder.target(name))
            footer = footer_of(labels) or {}
            counts = counts_if_valid(job, footer)
            if labels is None or counts is None:
                continue
            entry = undamaged(job, footer, name, labels, listed.get(name))
            if entry is not None:
                entries[name] = entry
                journal.unchanged += counts
        self.changes.unchanged = len(entries)
        return entries

    def gone(self) -> list[str]:
        """List labels files of ro32 in the folder that have no input any more."""
        known = self.kept | self.jobs.keys()
        return sorted(name for name in self.folder.names() if name not in known and self._footer(name) is not None)

    def _footer(self, name: str) -> dict[str, Any] | None:
        return footer_of(file_at(self.folder.target(name)))


def resolve_folder(folder: Path, inputs: Sequence[str], names: Mapping[InputFile, str]) -> Path:
    """Follow the links of a folder that is to be written; refuse one whose labels would be papers the next time.

    Args:
        folder: The folder.
        inputs: What was named as input.
        names: The names that labels will have in the folder, by input file.

    Raises:
        OutputError: It is a file, or in no folder, or input and output lie in each other.
        ReadWriteError: The disk failed.
    """
    with looked_at(folder):
        resolved, found = folder.resolve(), kind_of(folder)
        if found not in {None, FileKind.FOLDER}:
            raise OutputError(f"{folder} is {found}; name a folder, or a file without a slash at its end")
        if not resolved.parent.is_dir():
            raise OutputError(f"{folder}: cannot be created: no folder {resolved.parent}; create it, or name another")
        within = inputs_with([resolved / name for name in names.values()], inputs)
        within += [str(file) for file in names if isinstance(file, Path) and file.resolve().is_relative_to(resolved)]
    _refuse_within(folder, within)
    return resolved


def check_apart(folder: ObjectFolder, inputs: Sequence[str], names: Mapping[InputFile, str]) -> None:
    """Raise OutputError for a folder in a store whose labels would be papers the next time; see `resolve_folder`."""
    output = folder.store.url(folder.prefix)
    labels = [folder.store.url(folder.prefix + name) for name in names.values()]
    within = [str(url) for url in _urls(inputs) if any(would_read(url, label) for label in labels)]
    within += [str(file) for file in names if isinstance(file, StoredObject) and output.holds(file.store.url(file.key))]
    _refuse_within(folder.target(""), within)


def _refuse_within(folder: Target, within: Sequence[str]) -> None:
    if within:
        raise OutputError(
            f"{folder} and the input {within[0]} lie in each other, so labels would be read as papers; name a folder "
            "elsewhere"
        )


def labels_names(inputs: Sequence[str], files: Sequence[InputFile]) -> dict[InputFile, str]:
    """Name the labels files of input files.

    Below an input folder, local or in a store, it is the path within that folder; else the file's name. Labels are
    Parquet, as only that has a footer, so other names get a suffix.

    Raises:
        UsageError: Two files would have the same name.
    """
    folders, urls = input_folders(inputs), _urls(inputs)
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


def _urls(inputs: Sequence[str]) -> list[ObjectUrl]:
    return [ObjectUrl.parse(text) for text in inputs if is_url(text)]


def _name_below(folders: Sequence[Path], file: Path) -> str:
    base = next((folder for folder in folders if file.is_relative_to(folder)), file.parent)
    return str(file.relative_to(base))


def _key_below(urls: Sequence[ObjectUrl], file: StoredObject) -> str:
    """Do the same for an object; of patterns and of single objects no key is below them."""
    own = file.store.url(file.key)
    return next((file.key.removeprefix(url.prefix) for url in urls if url.holds(own)), file.name)
