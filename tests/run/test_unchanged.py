"""Rows whose stored bytes did not change are labelled without decoding them, and come out as if they had been."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ro32.data import part_reader, row_groups
from ro32.data.labels import read_provenance
from ro32.data.papers import Part
from ro32.model.classifier import Classifier
from ro32.run.job import Settings
from ro32.run.unchanged import UnchangedRows
from ro32.run.walk import Summary, score_file

Run = Callable[..., Summary]
GROUP = 20


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take digests of row groups of any size."""
    monkeypatch.setattr(row_groups, "_LEAST_ROWS", 1)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the rows of which texts are decoded."""
    rows: list[int] = []
    decode = part_reader._decode

    def counted(part: Any, start: int, batch: pa.RecordBatch, *rest: Any) -> Any:
        rows.append(len(batch))
        return decode(part, start, batch, *rest)

    monkeypatch.setattr(part_reader, "_decode", counted)
    return rows


@pytest.fixture
def run(tmp_path: Path, classifier: Classifier) -> Run:
    """Score frames or tables, 20 rows a row group and a part."""

    def call(*frames: pl.DataFrame | pa.Table, to: str = "labels", **options: Any) -> Summary:
        paths = [tmp_path / f"papers-{number}.parquet" for number in range(len(frames))]
        for frame, path in zip(frames, paths, strict=True):
            table = frame.to_arrow() if isinstance(frame, pl.DataFrame) else frame
            pq.write_table(table, path, row_group_size=GROUP, write_page_checksum=True)
        settings = Settings(threads=1, **{"part_rows": GROUP, **options})
        return score_file(paths, tmp_path / f"{to}.parquet", classifier=classifier, settings=settings)

    return call


def test_only_what_changed_is_decoded(run: Run, papers: pl.DataFrame, tmp_path: Path, decoded: list[int]) -> None:
    few = papers.select("id", "title", "abstract").head(5 * GROUP)
    run(few)
    decoded.clear()
    changed = few.with_columns(
        title=pl.when(pl.col("id") == few["id"][2 * GROUP + 3]).then(pl.lit("Legs")).otherwise("title")
    )
    longer = pl.concat([changed, papers.select(changed.columns).slice(5 * GROUP, 7)])
    summary = run(longer)
    assert sum(decoded) == GROUP + 7
    assert (summary.counts.scored, summary.counts.reused) == (8, 5 * GROUP - 1)
    run(longer, to="again", no_reuse=True)
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(pl.read_parquet(tmp_path / "again.parquet"))


def test_row_groups_are_found_wherever_they_are_now(
    run: Run, papers: pl.DataFrame, tmp_path: Path, decoded: list[int]
) -> None:
    few = papers.select("id", "title", "abstract").head(4 * GROUP)
    run(few)
    decoded.clear()
    moved = [few.slice(GROUP, 3 * GROUP), few.head(GROUP)]
    summary = run(*moved)
    assert (sum(decoded), summary.counts.reused) == (0, 4 * GROUP)
    run(*moved, to="again", no_reuse=True)
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(pl.read_parquet(tmp_path / "again.parquet"))


def test_parts_that_cross_into_a_changed_row_group_are_decoded_whole(
    run: Run, papers: pl.DataFrame, tmp_path: Path, decoded: list[int]
) -> None:
    few = papers.select("id", "title", "abstract").head(4 * GROUP)
    run(few, part_rows=30)
    decoded.clear()
    changed = pl.concat([few.head(3 * GROUP + 1), papers.select(few.columns).slice(200, GROUP - 1)])
    run(changed, part_rows=30)
    assert sum(decoded) == 20  # rows 60 to 79: parts of 30 rows end at row 60
    run(changed, to="again", no_reuse=True)
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(pl.read_parquet(tmp_path / "again.parquet"))


def test_rows_without_a_score_come_out_as_before(run: Run, tmp_path: Path, decoded: list[int]) -> None:
    texts = [b"Legged robots", b"", b"\xff\xfe", b"Legged robots", *[f"paper {n}".encode() for n in range(16)]]
    table = pa.table({"id": [f"p{n}" for n in range(GROUP)], "title": pa.array(texts, pa.binary()), "abstract": texts})
    first = run(table, max_unscored=1.0)
    before = pl.read_parquet(tmp_path / "labels.parquet")
    decoded.clear()
    again = run(table, max_unscored=1.0)
    assert sum(decoded) == 0
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(before)
    assert (again.counts.unreadable, again.counts.unscored) == (first.counts.unreadable, first.counts.unscored)
    assert again.counts.reused == GROUP - 1


@pytest.mark.parametrize(
    "change",
    [
        {"compression": "none"},
        {"use_dictionary": False},
        {"data_page_version": "2.0"},
    ],
)
def test_the_same_papers_written_in_another_way_are_decoded(
    run: Run, papers: pl.DataFrame, tmp_path: Path, decoded: list[int], classifier: Classifier, change: dict[str, Any]
) -> None:
    few = papers.select("id", "title", "abstract").head(GROUP)
    run(few)
    decoded.clear()
    path = tmp_path / "papers-0.parquet"
    pq.write_table(few.to_arrow(), path, write_page_checksum=True, **change)
    summary = score_file(path, tmp_path / "labels.parquet", classifier=classifier)
    assert (sum(decoded), summary.counts.reused) == (GROUP, GROUP)


@pytest.mark.parametrize(
    "said",
    [
        [],
        None,
        "x",
        [[GROUP]],
        [[GROUP + 1, "a"]],
        [[-1, "a"], [GROUP + 1, "b"]],
        [[GROUP, 3]],
        [[GROUP, ["a"]]],
        {"a": 1},
    ],
)
def test_a_footer_that_says_nonsense_of_row_groups_is_passed_over(
    run: Run, papers: pl.DataFrame, decoded: list[int], monkeypatch: pytest.MonkeyPatch, said: object
) -> None:
    few = papers.select("id", "title", "abstract").head(GROUP)
    with monkeypatch.context() as patched:
        patched.setattr("ro32.run.commit._row_groups", lambda _: said)
        run(few)
    decoded.clear()
    assert run(few).counts.reused == GROUP
    assert sum(decoded) == GROUP


def test_a_number_of_rows_beyond_all_numbers_is_nonsense() -> None:
    footer = {"row_groups": [[math.inf, "a"]]}  # as JSON's 1e999 is read
    assert UnchangedRows.from_footer(footer, GROUP, dict).find(Part(index=0, path=Path("a"), start=0, rows=1)) is None


def test_very_small_row_groups_have_no_digests(
    run: Run, papers: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_groups, "_LEAST_ROWS", 2 * GROUP)
    run(papers.select("id", "title", "abstract").head(5 * GROUP))
    footer = read_provenance(tmp_path / "labels.parquet")
    assert footer is not None
    assert footer["row_groups"] == [[5 * GROUP, None]]
