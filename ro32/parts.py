"""Finished parts of a run, kept beside the target until it is committed: what a killed run leaves for the next one."""

import glob
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from ro32 import durable
from ro32.errors import DISK_ERRNOS, OutputError
from ro32.papers import Part
from ro32.writers import FOOTER_KEY, WRITER_OPTIONS


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of rows. rows = scored + reused + duplicates.

    Attributes:
        rows: Rows of the input.
        scored: Rows whose text was scored, by the screen alone or in full; those without a token are among them.
        reused: Rows whose outcome an earlier labels file held.
        duplicates: Rows with the same text as an earlier row of this run.
        positives: Rows with the positive label.
        uncertain: Rows with a score and no label, since a person is to decide.
        unscored: Rows without a score, by reason; they are among the above.
        tokens: Tokens that the encoder saw, special tokens included.
        screened: Rows among `scored` that the screen alone scored.
        audited: Rows among `scored` below the screen's cut that were scored in full all the same, as a sample.
        disagreements: Rows among `audited` that have another label than the screen would have given them.
    """

    rows: int = 0
    scored: int = 0
    reused: int = 0
    duplicates: int = 0
    positives: int = 0
    uncertain: int = 0
    unscored: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    screened: int = 0
    audited: int = 0
    disagreements: int = 0

    def __add__(self, other: Self) -> Self:
        numbers = [item.name for item in fields(self) if item.name != "unscored"]
        return type(self)(
            **{name: getattr(self, name) + getattr(other, name) for name in numbers},
            unscored=dict(Counter(self.unscored) + Counter(other.unscored)),
        )


@dataclass(frozen=True, kw_only=True)
class FinishedPart:
    """A part whose rows are all done.

    Attributes:
        table: Its labels.
        counts: What became of its rows.
    """

    table: pa.Table
    counts: Counts


class PartStore:
    """The folder of finished parts of one run.

    A part appears by one rename, under a name that holds its number and its SHA-256, only after its rows were all
    done; what does not match its name is not taken.

    Args:
        target: The labels file that the parts are for.
        fingerprint: Digest in hex of all that the parts depend on: input, model and settings.
    """

    def __init__(self, target: Path, fingerprint: str) -> None:
        self._target = target
        self._folder = parts_folder(target) / fingerprint[:32]
        self._paths = {int(path.name.partition("-")[0]): path for path in self._folder.glob("*-*.parquet")}

    @property
    def folder(self) -> Path:
        """Where the parts are."""
        return self._folder

    def prepare(self) -> None:
        """Create the folder.

        Raises:
            OutputError: It cannot be created.
            OSError: The disk is full or failed.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in DISK_ERRNOS:
                raise
            raise OutputError(
                f"{self._folder}: cannot be created: {error.strerror}; name an output in a folder that is writable"
            ) from error
        for folder in (self._folder.parent, self._target.parent):  # else a power cut takes the folder, parts and all
            durable.sync_folder(folder)

    def save(self, part: Part, finished: FinishedPart) -> None:
        """Keep a finished part.

        Raises:
            OSError: The disk is full or failed.
        """
        buffer = io.BytesIO()
        counts = {FOOTER_KEY: json.dumps(asdict(finished.counts))}
        pq.write_table(finished.table.replace_schema_metadata(counts), buffer, **WRITER_OPTIONS)
        data = buffer.getvalue()
        path = self._folder / f"{part.index:08d}-{hashlib.sha256(data).hexdigest()}.parquet"
        durable.write(path, data)
        self._paths[part.index] = path

    def load(self, part: Part) -> FinishedPart | None:
        """Return a part that is finished and undamaged, else None.

        One that cannot be read counts as damaged: it is done again and replaced, where another try might fail forever.
        """
        path = self._paths.get(part.index)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != path.stem.partition("-")[2]:
            return None
        table = pq.read_table(pa.BufferReader(data))
        counts = Counts(**json.loads(table.schema.metadata[FOOTER_KEY.encode()]))
        return FinishedPart(table=table.replace_schema_metadata(None), counts=counts)

    def clear(self) -> None:
        """Remove the parts of this run, and what earlier runs for the same target left.

        What cannot be removed stays: labels that are published are not put in doubt by a left-over.
        """
        with suppress(OSError):
            for path in leftovers(self._target):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def parts_folder(target: Path) -> Path:
    """Return the folder of a target's finished parts: beside it, and hidden."""
    return target.with_name(f".{target.name}.parts")


def leftovers(target: Path) -> list[Path]:
    """List what runs that did not end well left beside a target: finished parts, and temporary files."""
    temporary = target.parent.glob(f".{glob.escape(target.name)}.*{durable.TEMPORARY_SUFFIX}")
    return [path for path in (parts_folder(target), *sorted(temporary)) if path.exists()]
