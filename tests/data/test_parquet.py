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

from ro32.data import footer, pages, parquet, part_reader
from ro32.data.papers import Columns
from ro32.data.part_reader import read_parts
from ro32.errors import InputDataError
from ro32.model.text import content_hash
from ro32.model.text_form import MAX_CHARS
from ro32.run.plan import make_plan
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
from ro32.data import row_groups
from ro32.data.parquet import read_footer
row_groups._LEAST_ROWS = 1
path = Path(sys.argv[1])
whole = path.read_bytes()
length = int.from_bytes(whole[-8:-4], "little")
refused = 0
for bit in range(8 * length):
    flipped = bytearray(whole)
    flipped[len(whole) - 8 - length + bit // 8] ^= 1 << bit % 8
    path.write_bytes(flipped)
    row_groups.row_groups(path, ["id"])
    try:
        read_footer(path)
    except InputDataError:
        refused += 1
print(refused)
"""


def test_no_flipped_bit_of_a_footer_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "papers.parquet"
    pq.write_table(pa.table({"id": [1, 2, None]}), path, store_schema=False)
    done = subprocess.run([sys.executable, "-c", EVERY_FLIP, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_row_groups_with_more_columns_than_the_schema_are_damage(malformed: Path, tmp_path: Path) -> None:
    """Asked for such a column, pyarrow would end the process."""
    path = tmp_path / "papers.parquet"
    name = "clusterfuzz-testcase-minimized-parquet-arrow-fuzz-5004902418481152.parquet"
    data = bytearray((malformed / name).read_bytes())
    assert data[53] == 0x15  # the type of the only column, as Thrift has it: a number of 32 bits
    data[53] = 0x14  # one of 16 bits, which is skipped: without a type it is no column
    path.write_bytes(data)
    with pytest.raises(InputDataError, match="row group 0 has 1 columns, but the schema 0"):
        parquet.read_footer(path)


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


@pytest.mark.parametrize(("names", "found"), [(["id"], "no"), (["id", "title", "title"], "2")])
def test_a_column_that_only_the_stored_schema_has_once_is_damage(names: list[str], found: str, tmp_path: Path) -> None:
    path = tmp_path / "papers.parquet"
    pq.write_table(pa.table([["a"]] * len(names), names=names), path)
    with pytest.raises(InputDataError, match=f"it has {found} columns called title"):
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


def papers_of(**columns: object) -> pa.Table:
    """Three papers, of which some columns are given."""
    return pa.table({"id": ["a", "b", "c"], "title": ["Robots"] * 3, "abstract": ["We plan grasps"] * 3} | columns)


def labels_of(score: Score, table: pa.Table, folder: Path, *args: str) -> list[dict[str, object]]:
    pq.write_table(table, folder / "papers.parquet")
    done = score(folder / "papers.parquet", "-o", folder / "labels.parquet", "--no-reuse", *args)
    assert done.code == 0, done.stderr
    rows: list[dict[str, object]] = pq.read_table(folder / "labels.parquet").to_pylist()
    return rows


def test_columns_of_nulls_and_bytes_are_texts(score: Score, tmp_path: Path) -> None:
    expected = labels_of(score, papers_of(abstract=["", None, ""]), tmp_path)
    assert labels_of(score, papers_of(abstract=pa.nulls(3)), tmp_path) == expected
    for kind in (pa.float64(), pa.int32()):  # as pandas and DuckDB have them
        assert labels_of(score, papers_of(abstract=pa.nulls(3, kind)), tmp_path, "--on-error", "skip-file") == expected
    integers = labels_of(score, papers_of(id=pa.nulls(3, pa.int8())), tmp_path, "--max-unscored", "1")
    assert [row["id"] for row in integers] == [None] * 3
    assert pl.read_parquet_schema(tmp_path / "labels.parquet")["id"] == pl.Int8
    raw = pa.array([b"a", b"b", b"c"])
    assert (
        labels_of(score, papers_of(id=raw, title=pa.array([b"Robots"] * 3), abstract=pa.nulls(3)), tmp_path) == expected
    )


@pytest.mark.parametrize("column", ["id", "title", "abstract"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_text_that_is_no_utf8_costs_its_row(column: str, dictionary: bool, score: Score, tmp_path: Path) -> None:  # noqa: FBT001
    bad = pa.array([b"x", b"\xff\xfe", b"y"]).view(pa.string())
    table = papers_of(**{column: bad.dictionary_encode() if dictionary else bad})
    rows = labels_of(score, table, tmp_path, "--max-unscored", "1")
    assert [row["error"] for row in rows] == [None, "invalid_utf8", None]
    assert (rows[1]["id"] is None) == (column == "id")
    assert rows[1]["score"] is None


def test_an_unreadable_row_shares_no_hash_with_an_empty_one(score: Score, tmp_path: Path) -> None:
    bad = pa.array([b"x", b"\xff", b""]).view(pa.string())
    rows = labels_of(score, papers_of(title=bad, abstract=["a", "", ""]), tmp_path, "--max-unscored", "1")
    assert [row["error"] for row in rows] == [None, "invalid_utf8", "empty_text"]
    assert rows[1]["content_hash"] != rows[2]["content_hash"]


def test_ids_of_both_kinds_of_integers_are_one_kind(score: Score, tmp_path: Path) -> None:
    pq.write_table(papers_of(id=pa.array([1, 2, 3], pa.uint64())), tmp_path / "a.parquet")
    pq.write_table(papers_of(id=pa.array([-1, 4, 5], pa.int64())), tmp_path / "b.parquet")
    inputs = (tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert score(*inputs, "-o", tmp_path / "labels.parquet").code == 0
    assert pq.read_table(tmp_path / "labels.parquet")["id"].to_pylist() == [1, 2, 3, -1, 4, 5]
    pq.write_table(papers_of(id=pa.array([1, 2**64 - 1, 3], pa.uint64())), tmp_path / "a.parquet")
    done = score(*inputs, "-o", tmp_path / "labels.parquet")
    assert done.code == 65
    assert "a.parquet, row 1: the id 18446744073709551615 does not fit int64" in done.stderr


def test_ids_in_several_small_dictionaries_are_read(score: Score, tmp_path: Path) -> None:
    """Each has fewer values than 8 bits count, and all together more."""
    names = [[f"{group}-{row}" for row in range(100)] for group in range(3)]
    indices = pa.array(range(100), pa.int8())
    ids = pa.chunked_array([pa.DictionaryArray.from_arrays(indices, some) for some in names])
    table = pa.table({"id": ids, "title": ["Robots"] * 300, "abstract": ["We plan grasps"] * 300})
    assert [row["id"] for row in labels_of(score, table, tmp_path)] == [*names[0], *names[1], *names[2]]


def test_labels_whose_scores_are_no_numbers_are_not_reused(score: Score, tmp_path: Path) -> None:
    labels_of(score, papers_of(title=["a", "", "b"], abstract=[""] * 3), tmp_path, "--max-unscored", "1")
    labels = pq.read_table(tmp_path / "labels.parquet")
    columns = labels.schema.names
    nested = labels.drop_columns("score").append_column("score", pa.array([{"score": 0.5}] * 3)).select(columns)
    pq.write_table(nested, tmp_path / "labels.parquet")
    again = score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet", "--max-unscored", "1")
    assert again.code == 0, again.stderr
    assert "is not reused: it " in again.stderr
    assert pq.read_table(tmp_path / "labels.parquet").equals(labels)


def test_millions_of_small_pages_would_take_little_memory(tmp_path: Path) -> None:
    texts = [f"{row} arm" for row in range(2_000)] + ["a" * 9_000] * 3
    table = pa.table({"title": texts})
    pq.write_table(table, tmp_path / "a", use_dictionary=False, data_page_size=1, write_batch_size=1)
    with footer.open_raw(tmp_path / "a") as file:
        group = footer.read_metadata(tmp_path / "a").row_group(0)
        (chunk,) = pages.look_at(file, group, ["title"], trusting=False)
    assert 3 < len(chunk.pages) < 10
    assert sum(page.values for page in chunk.pages) == chunk.values == len(texts)
    assert sum(page.size for page in chunk.pages) >= sum(map(len, texts))


def test_a_page_header_of_lists_in_lists_without_end_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "papers.parquet"
    pq.write_table(papers_of(title=["a" * 1_000] * 3), path, use_dictionary=False, compression="none")
    whole, at = bytearray(path.read_bytes()), pq.read_metadata(path).row_group(0).column(1).data_page_offset
    whole[at : at + 2_000] = b"\x19" * 2_000
    path.write_bytes(whole)
    with pytest.raises(InputDataError, match="a page has no header: values are nested too deeply"):
        list(parquet.read_batches(path, ["id", "title"]))


def test_an_encrypted_file_is_named_as_one(score: Score, tmp_path: Path) -> None:
    pq.write_table(papers_of(), tmp_path / "papers.parquet")
    whole = (tmp_path / "papers.parquet").read_bytes()
    (tmp_path / "papers.parquet").write_bytes(b"PARE" + whole[4:-4] + b"PARE")
    done = score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet")
    assert done.code == 65
    assert "encrypt" in done.stderr


def test_a_hash_does_not_depend_on_how_text_is_stored(score: Score, tmp_path: Path) -> None:
    texts = [f"{word} " * 30_000 for word in ("grasp", "stars", "grasp")]
    expected = labels_of(score, papers_of(abstract=texts), tmp_path)
    assert labels_of(score, papers_of(abstract=pa.array(texts).dictionary_encode()), tmp_path) == expected
    assert expected[0]["content_hash"] == content_hash("Robots", ("grasp " * 30_000)[:MAX_CHARS].strip())


PEAK = """
import sys
from pathlib import Path
from ro32.data.papers import Columns
from ro32.data.part_reader import read_parts
from ro32.run.plan import make_plan

def peak_kb():  # that of getrusage would be the parent's until it is passed
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

before = peak_kb()
plan = make_plan([Path(sys.argv[1])], Columns())
rows = sum(len(papers) for _, papers in read_parts(plan.parts, plan.columns, plan.id_type))
print(rows, peak_kb() - before)
"""


@pytest.mark.drawn(1)
@pytest.mark.parametrize(
    ("column", "mixed"),
    [
        ("title", True),
        pytest.param("title", False, marks=pytest.mark.full),
        ("abstract", False),
        pytest.param("abstract", True, marks=pytest.mark.full),
    ],
)
def test_a_repeated_text_takes_the_memory_of_one(column: str, mixed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """A file of some kB whose rows would take 600 MB."""
    texts = ["robot " * 170_000] * 600 + [f"{row} arm" * 300 for row in range(600 * mixed)]
    columns = {"title": ["t"] * len(texts), "abstract": ["a"] * len(texts), column: texts}
    table = pa.table({"id": list(map(str, range(len(texts))))} | columns)
    pq.write_table(table, tmp_path / "papers.parquet", compression="zstd")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "papers.parquet"], capture_output=True, text=True, check=True
    )
    rows, peak_kb = map(int, done.stdout.split())
    assert rows == len(texts)
    assert peak_kb < 250_000


def test_long_texts_come_in_pieces_of_a_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(part_reader, "_PIECE_BYTES", 3_000)
    monkeypatch.setattr(part_reader, "_SLICE_BYTES", 500)
    table = pa.table({"id": list(map(str, range(20))), "title": ["t"] * 20, "abstract": ["robot " * 150] * 20})
    pq.write_table(table, tmp_path / "papers.parquet", use_dictionary=False)
    plan = make_plan([tmp_path / "papers.parquet"], Columns(), part_rows=11)
    pieces = list(read_parts(plan.parts, plan.columns, plan.id_type))
    assert len(pieces) > len(plan.parts)
    at = [0, 0]
    for part, papers in pieces:
        assert part.start == plan.parts[part.index].start + at[part.index]
        assert papers.ids.to_pylist() == [str(row) for row in range(part.start, part.start + part.rows)]
        at[part.index] += len(papers)
    assert at == [11, 9]


def test_a_page_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pages, "MAX_BYTES", 100_000)
    pq.write_table(papers_of(abstract=["a" * 60_000] * 3), tmp_path / "papers.parquet", use_dictionary=False)
    with pytest.raises(InputDataError, match=r"row group 0, column abstract: its pages are too large"):
        list(parquet.read_batches(tmp_path / "papers.parquet", ["id", "abstract"]))


@pytest.mark.parametrize("times", [4, pytest.param(24, marks=pytest.mark.full)])
def test_a_refusal_is_65_every_time_beside_others(tmp_path: Path, times: int) -> None:
    """An Arrow thread that outlived the interpreter ended a process by SIGABRT, one time in a few."""
    pq.write_table(papers_of().drop(["abstract"]), tmp_path / "papers.parquet")
    names = [str(tmp_path / "papers.parquet"), "-o", str(tmp_path / "labels.parquet")]
    command = [sys.executable, "-m", "ro32.cli.score", *names]
    started = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(times)]
    assert [process.wait() for process in started] == [65] * times
