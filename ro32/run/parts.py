"""Finished parts of a run, kept beside the target until the commit, so that a killed run can be resumed."""

import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.labels import outcomes_of, schema
from ro32.data.papers import Part
from ro32.data.writers import FOOTER_KEY, WRITER_OPTIONS
from ro32.storage import strict_json
from ro32.storage.files import Target
from ro32.storage.local_parts import PART_NAME, LocalParts
from ro32.storage.object_parts import ObjectParts


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """What became of rows. rows = scored + reused + duplicates + unreadable.

    Attributes:
        rows: Rows of the input.
        scored: Rows whose text was scored, by the screen alone or in full; those without a token are among them.
        reused: Rows whose outcome an earlier labels file held.
        duplicates: Rows with the same text as an earlier row of this run.
        unreadable: Rows that could not be read, and so have an error instead of a score.
        positives: Rows with the positive label.
        uncertain: Rows with a score and no label, since a person is to decide.
        unscored: Rows without a score, by reason; they are among the above.
        tokens: Tokens that the encoder saw, special tokens included.
        screened: Rows among `scored` that the screen alone scored.
        audited: Rows among `scored` below the screen's cut that were also scored in full, as a sample.
        disagreements: Rows among `audited` that have another label than the screen would have given them.
    """

    rows: int = 0
    scored: int = 0
    reused: int = 0
    duplicates: int = 0
    unreadable: int = 0
    positives: int = 0
    uncertain: int = 0
    unscored: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    screened: int = 0
    audited: int = 0
    disagreements: int = 0

    @classmethod
    def from_json(cls, counts: object) -> Self:
        """Take JSON values; raise ValueError if they are damaged, or of a version of ro32 that counts other things."""
        if not isinstance(counts, dict) or counts.keys() != {item.name for item in fields(cls)}:
            raise ValueError("expected the counts of this version of ro32")
        unscored = counts["unscored"]
        if not isinstance(unscored, dict):
            raise ValueError("expected the unscored rows by reason")  # noqa: TRY004 - damaged data
        if not all(type(number) is int for number in (*(counts | {"unscored": 0}).values(), *unscored.values())):
            raise ValueError("expected numbers of rows")
        return cls(**counts)

    def __add__(self, other: Self) -> Self:
        numbers = [item.name for item in fields(self) if item.name != "unscored"]
        return type(self)(
            **{name: getattr(self, name) + getattr(other, name) for name in numbers},
            unscored=dict(Counter(self.unscored) + Counter(other.unscored)),
        )


@dataclass(frozen=True, kw_only=True)
class FinishedPart:
    """A part whose rows are all done: its labels, and what became of its rows."""

    table: pa.Table
    counts: RowCounts

    @classmethod
    def join(cls, pieces: Sequence[Self]) -> Self:
        """Join the pieces of a part in their order."""
        counts = sum((piece.counts for piece in pieces), RowCounts())
        return cls(table=pa.concat_tables([piece.table for piece in pieces]), counts=counts)


PartFolder = LocalParts | ObjectParts
"""Where the finished parts of one run are. `for_part` returns it as another process needs it to write one part."""


class PartStore:
    """The finished parts of one run.

    A part appears at once and whole, under a name that holds its number and its SHA-256, only after its rows were all
    done; what does not match its name is not taken.

    Args:
        target: The labels that the parts are for.
        fingerprint: Digest in hex of all that the parts depend on: input, model and settings.
    """

    def __init__(self, target: Target, fingerprint: str) -> None:
        short = fingerprint[:32]
        self.folder: PartFolder = LocalParts(target, short) if isinstance(target, Path) else ObjectParts(target, short)
        found = filter(None, map(PART_NAME.fullmatch, self.folder.names()))
        self._names = defaultdict[int, list[str]](list)  # a damaged part may stand beside the one done in its place
        for part in found:
            self._names[int(part["index"])].append(part.string)

    def save(self, part: Part, finished: FinishedPart) -> None:
        """Keep a finished part."""
        self._names[part.index] = [write_part(self.folder, part, finished)]

    def folder_for(self, part: Part) -> PartFolder:
        """Return the folder as another process needs it to put a part there by `write_part`."""
        return self.folder.for_part(self._names[part.index])

    def adopt(self, part: Part, name: str) -> bool:
        """Take a part that another process wrote under this name; return whether it is there and undamaged."""
        self.folder.notice(name)
        self._names[part.index] = [name]
        return self.load(part) is not None

    def load(self, part: Part) -> FinishedPart | None:
        """Return a part that is finished and undamaged, else None.

        One that cannot be read counts as damaged, and so does one that another version of ro32 wrote: it is done again
        and replaced, where another try might fail forever.
        """
        return next(filter(None, (self._load(part, name) for name in self._names[part.index])), None)

    def _load(self, part: Part, name: str) -> FinishedPart | None:
        data = self.folder.read(name)
        if data is None or name != _name_of(part, data):
            return None
        try:
            table = pq.read_table(pa.BufferReader(data))
            counts = RowCounts.from_json(strict_json.parse((table.schema.metadata or {})[FOOTER_KEY.encode()]))
            table = table.replace_schema_metadata(None)
            for batch in table.to_batches():
                outcomes_of(batch)
            known = table.schema == schema(table.schema.field("id").type)
        except (KeyError, ValueError, pa.ArrowException):
            return None
        if not known or not table.num_rows == counts.rows == part.rows:
            return None
        return FinishedPart(table=table, counts=counts)


def _name_of(part: Part, data: bytes) -> str:
    """Return the name of a finished part: its number and the SHA-256 of its bytes."""
    return f"{part.index:08d}-{hashlib.sha256(data).hexdigest()}.parquet"


def write_part(folder: PartFolder, part: Part, finished: FinishedPart) -> str:
    """Put a finished part into a folder of parts, and return its name there. Equal parts are equal files."""
    buffer = io.BytesIO()
    counts = {FOOTER_KEY: json.dumps(asdict(finished.counts))}
    pq.write_table(finished.table.replace_schema_metadata(counts), buffer, **WRITER_OPTIONS)
    data = buffer.getvalue()
    name = _name_of(part, data)
    folder.write(name, data)
    return name
