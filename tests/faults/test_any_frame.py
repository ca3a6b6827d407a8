"""Whatever a frame holds and however it is stored: rows stay aligned, and a score depends on its paper alone."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ro32.errors import Interrupted
from ro32.model.classifier import Classifier
from ro32.run.job import Settings
from ro32.run.walk import Progress, Summary, score_file
from tests.faults import tally

STRINGS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))
INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())

characters = st.characters(exclude_categories=["Cs"])  # all that UTF-8 can hold, control characters too


def texts(lengths: Sequence[int]) -> st.SearchStrategy[str | None]:
    """Draw texts, among them some of given lengths in characters."""
    return st.one_of(
        st.none(),
        st.text(characters, max_size=100),
        st.sampled_from(
            ["", " ", "\n\t", "\x00", "\u200b", "[SEP]", "[CLS] [SEP] [MASK]", "[PAD][UNK]", "a[SEP]b", "\ufffd"]
        ),
        st.builds(
            lambda piece, length: (piece * (length // len(piece) + 1))[:length],
            st.text(characters, min_size=1, max_size=8) | st.sampled_from(["robot ", "[SEP]", "é", "机器人", "\x00"]),
            st.sampled_from(lengths),
        ),
    )


Row = tuple[Any, str | None, str | None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A frame, how it is stored, and another way to score it.

    Attributes:
        rows: Id, title and abstract of each row.
        types: Of these three columns.
        groups: Where row groups begin and end; some hold no row.
        checksums: Whether pages have them.
        order: The rows in another order, by their positions.
        part_rows: Rows of a part, in the other way.
        threads: Threads, in the other way.
        stop_after: Parts after which the other way is interrupted, and begun again.
        known: How many rows an earlier labels file holds, in the other way.
    """

    rows: Sequence[Row]
    types: tuple[pa.DataType, pa.DataType, pa.DataType]
    groups: Sequence[int]
    checksums: bool
    order: Sequence[int]
    part_rows: int
    threads: int
    stop_after: int
    known: int

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Make a table of some rows, in the types of the case."""
        columns = {}
        for position, (name, data_type) in enumerate(zip(("id", "title", "abstract"), self.types, strict=True)):
            plain = data_type.value_type if pa.types.is_dictionary(data_type) else data_type
            columns[name] = pa.array([row[position] for row in rows], plain).cast(data_type)
        return pa.table(columns)

    def store(self, rows: Sequence[Row], path: Path) -> None:
        """Write some rows as the case wants it, one row group a range."""
        papers = self.table(rows)
        with pq.ParquetWriter(path, papers.schema, write_page_checksum=self.checksums) as writer:
            for start, end in pairwise(self.groups):
                writer.write_table(papers.slice(start, end - start))


@st.composite
def cases(draw: st.DrawFn, lengths: Sequence[int]) -> Case:
    """Draw a case, with texts of some lengths."""
    id_type = draw(st.sampled_from([*STRINGS, *INTEGERS]))
    ids: st.SearchStrategy[Any] = st.text(characters, max_size=20)
    if pa.types.is_integer(id_type):
        lowest = -(2 ** (id_type.bit_width - 1)) if pa.types.is_signed_integer(id_type) else 0
        ids = st.integers(lowest, lowest + 2**id_type.bit_width - 1)
    rows = draw(st.lists(st.tuples(st.none() | ids, texts(lengths), texts(lengths)), max_size=12))
    return Case(
        rows=rows,
        types=(id_type, draw(st.sampled_from(STRINGS)), draw(st.sampled_from(STRINGS))),
        groups=sorted([0, len(rows), *draw(st.lists(st.integers(0, len(rows)), max_size=4))]),
        checksums=draw(st.booleans()),
        order=draw(st.permutations(range(len(rows)))),
        part_rows=draw(st.integers(1, 13)),
        threads=draw(st.integers(1, 3)),
        stop_after=draw(st.integers(0, 12)),
        known=draw(st.integers(0, len(rows))),
    )


def score(
    papers: Path, target: Path, classifier: Classifier, stop_after: int | None = None, **options: Any
) -> Summary | None:
    """Score papers; with `stop_after`, be interrupted after so many parts."""

    def stop(progress: Progress) -> None:
        if progress.parts_done == stop_after:
            raise Interrupted(15)

    with suppress(Interrupted):
        return score_file(
            [str(papers)],
            target,
            classifier=classifier,
            settings=Settings(max_unscored=1, **options),
            on_progress=stop,
        )
    return None


def check(case: Case, folder: Path, classifier: Classifier) -> None:
    """Score the frame in one go; then in another order, in parts, half of it known, interrupted once."""
    for left in folder.rglob("*.parquet"):
        left.unlink()
    papers, labels, known = folder / "papers.parquet", folder / "labels.parquet", folder / "known.parquet"
    case.store(case.rows, papers)
    score(papers, labels, classifier, threads=1, no_reuse=True)
    expected = pq.read_table(labels).to_pylist()
    assert [row["id"] for row in expected] == [row[0] for row in case.rows]
    assert all((row["error"] is None) == (row["score"] is not None) == (row["label"] is not None) for row in expected)

    case.store(case.rows[: case.known], papers)
    score(papers, known, classifier)
    case.store([case.rows[position] for position in case.order], papers)
    options: dict[str, Any] = {"part_rows": case.part_rows, "threads": case.threads, "reuse": known}
    score(papers, labels, classifier, stop_after=case.stop_after, **options)
    summary = score(papers, labels, classifier, **options)

    assert summary is not None
    counts = summary.counts
    assert counts.scored + counts.reused + counts.duplicates == counts.rows == len(case.rows)
    found = pq.read_table(labels)
    assert found.schema.field("id").type == case.types[0]
    assert found.to_pylist() == [expected[position] for position in case.order]  # scores too, to the last bit
    tally.checked("frames scored in two ways, row by row")


@pytest.mark.parametrize(
    ("examples", "lengths"),
    [(12, [1_000]), (2, [65_537]), pytest.param(500, [1_000, 65_536, 65_537, 1_000_000], marks=pytest.mark.full)],
)
def test_any_frame_in_any_way(examples: int, lengths: Sequence[int], tmp_path: Path, classifier: Classifier) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases(lengths))
    def property_(case: Case) -> None:
        check(case, tmp_path, classifier)

    property_()
