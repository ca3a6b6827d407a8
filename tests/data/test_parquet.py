"""Reading: a file that would become far larger than it is, is refused before it is decoded."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ro32.data import footer, parquet
from ro32.errors import InputDataError
from tests.command_line import Score


@pytest.fixture
def small_files_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be refused that are small enough for a test."""
    monkeypatch.setattr(footer, "ALWAYS_ALLOWED_BYTES", 10_000)


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """Three papers whose abstracts, 3 MB in all, are stored in a few kB."""
    rows = {"id": ["a", "b", "c"], "title": ["Robots"] * 3, "abstract": [f"{word} " * 200_000 for word in "abc"]}
    pq.write_table(pa.table(rows), tmp_path / "papers.parquet", compression="zstd", use_dictionary=False)
    return tmp_path / "papers.parquet"


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a value is read."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a value was decoded")

    monkeypatch.setattr(parquet, "read_batches", fail)


@pytest.mark.usefixtures("small_files_count", "nothing_is_decoded")
def test_a_bomb_is_refused_before_it_is_decoded(score: Score, bomb: Path, tmp_path: Path) -> None:
    outcome = score(bomb, "-o", tmp_path / "labels.parquet")
    assert outcome.code == 65
    assert "papers.parquet, row group 0, column abstract" in outcome.stderr
    assert "more than 100 times" in outcome.stderr
    assert "--max-expansion" in outcome.stderr


@pytest.mark.usefixtures("small_files_count")
def test_a_trusted_file_may_expand_more(score: Score, bomb: Path, tmp_path: Path) -> None:
    assert score(bomb, "-o", tmp_path / "labels.parquet", "--max-expansion", "1e6").code == 0
    assert pl.read_parquet(tmp_path / "labels.parquet").height == 3


def test_a_small_file_may_repeat_itself(bomb: Path) -> None:
    assert parquet.read_footer(bomb)[1] == 3


@pytest.mark.usefixtures("small_files_count")
def test_a_bomb_cannot_hide_in_a_large_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(1_000_000)
    table = pa.table({"noise": [noise, noise[::-1]], "bomb": ["a" * 100_000, "b" * 100_000]})
    pq.write_table(table, tmp_path / "papers.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(InputDataError, match=r"row group 0, column bomb: .* bytes announce"):
        parquet.read_footer(tmp_path / "papers.parquet")


@pytest.mark.usefixtures("small_files_count")
def test_many_small_columns_count_together(tmp_path: Path) -> None:
    table = pa.table({f"column {number}": ["a" * 2_000] for number in range(100)})
    pq.write_table(table, tmp_path / "papers.parquet", compression="zstd", use_dictionary=False, write_statistics=False)
    with pytest.raises(InputDataError, match=r"papers\.parquet: [\d,]+ bytes announce"):
        parquet.read_footer(tmp_path / "papers.parquet", max_expansion=1)


def test_the_bomb_of_the_parquet_project_is_refused(malformed: Path) -> None:
    """4 kB that announce 2 GiB."""
    with pytest.raises(InputDataError, match=r"3,346 bytes announce 2,147,483,749 uncompressed ones"):
        parquet.read_footer(malformed / "large_string_map.brotli.parquet")


def announced(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.parquet")):
        try:
            parquet.read_footer(path)
        except InputDataError as error:
            yield path.name, str(error)


def test_negative_sizes_are_damage(malformed: Path) -> None:
    negative = [name for name, words in announced(malformed) if "it announces -" in words]
    assert len(negative) == 2


def test_no_other_malformed_file_is_taken_for_a_bomb(malformed: Path) -> None:
    bombs = [name for name, words in announced(malformed) if "more than" in words]
    assert bombs == ["large_string_map.brotli.parquet"]


EVERY_FLIP = """
import sys
from pathlib import Path
from ro32.errors import InputDataError
from ro32.data.parquet import read_footer
path = Path(sys.argv[1])
whole = path.read_bytes()
footer = int.from_bytes(whole[-8:-4], "little")
refused = 0
for bit in range(8 * footer):
    flipped = bytearray(whole)
    flipped[len(whole) - 8 - footer + bit // 8] ^= 1 << bit % 8
    path.write_bytes(flipped)
    try:
        read_footer(path)
    except InputDataError:
        refused += 1
print(refused)
"""


def test_no_flipped_bit_of_a_footer_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "papers.parquet"
    pq.write_table(pa.table({"id": ["a", "b", None]}), path, store_schema=False)
    done = subprocess.run([sys.executable, "-c", EVERY_FLIP, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_bytes_that_two_columns_claim_are_damage(tmp_path: Path) -> None:
    """The footer has no checksum: where it sends one column to another's pages, theirs match."""
    path, rows = tmp_path / "papers.parquet", pa.table({"id": ["a"], "title": ["b"]})
    pq.write_table(rows, path, use_dictionary=False, write_statistics=False, write_page_checksum=True)
    group, whole = pq.read_metadata(path).row_group(0), path.read_bytes()
    of_id, of_title = (
        bytes([0x26, 2 * group.column(index).data_page_offset]) for index in range(2)
    )  # as Thrift has it
    assert whole.count(of_title) == 1
    path.write_bytes(whole.replace(of_title, of_id))
    assert pq.read_table(path, page_checksum_verification=True)["title"].to_pylist() == ["a"]
    with pytest.raises(InputDataError, match=r"column id: damaged: .* to column title of row group 0 too"):
        parquet.read_footer(path)


def test_row_groups_without_rows_claim_nothing(tmp_path: Path) -> None:
    path, rows = tmp_path / "papers.parquet", pa.table({"id": ["a"], "title": ["b"]})
    with pq.ParquetWriter(path, rows.schema) as writer:
        for table in (rows, rows.slice(1), rows, rows.slice(1)):
            writer.write_table(table)
    assert parquet.read_footer(path)[1] == 2


def test_a_column_that_only_the_stored_schema_has_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "papers.parquet"
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(InputDataError, match="it has no column title"):
        list(parquet.read_batches(path, ["id", "title"]))


def test_nothing_of_a_footer_stays_in_memory(papers: pl.DataFrame, tmp_path: Path) -> None:
    """A run over thousands of files reads as many footers before the first paper."""
    papers.head(3).write_parquet(tmp_path / "papers.parquet")

    def readers() -> list[pq.ParquetFile]:
        gc.collect()
        return [item for item in gc.get_objects() if type(item) is pq.ParquetFile]  # isinstance would wake lazy ones

    others = readers()  # what other tests left, held here so that none of it goes meanwhile
    for _ in range(3):
        parquet.read_footer(tmp_path / "papers.parquet", parquet.DEFAULT_MAX_EXPANSION)
    assert len(readers()) == len(others)
