"""Papers in other forms than Parquet: the same labels, in the same order, whatever the file is called."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ro32.data import sources
from ro32.data.sources import Format, recognize
from ro32.errors import InputDataError
from ro32.storage.local_parts import parts_folder
from tests.command_line import Score

Write = Callable[[pl.DataFrame, Path], object]


def write_snapshot(papers: pl.DataFrame, path: Path) -> None:
    """As Kaggle has them: more fields, texts wrapped by hand, abstracts that begin with two spaces."""
    lines = (
        json.dumps({"authors": "A", "versions": [{"version": "v1"}]} | row | {"abstract": f"  {row['abstract']}\n"})
        for row in papers.select("id", "categories", "title", "abstract").iter_rows(named=True)
    )
    path.write_text("".join(f"{line}\n" for line in lines))


FORMS: dict[str, Write] = {
    "snapshot": write_snapshot,
    "ndjson": lambda papers, path: papers.write_ndjson(path),
    "csv": lambda papers, path: papers.write_csv(path),
    "csv of a spreadsheet": lambda papers, path: papers.write_csv(
        path, separator=";", include_bom=True, line_terminator="\r\n", quote_style="always"
    ),
    "tsv": lambda papers, path: papers.write_csv(path, separator="\t"),
    "bars": lambda papers, path: papers.write_csv(path, separator="|"),
}


@pytest.fixture
def wrapped(papers: pl.DataFrame) -> pl.DataFrame:
    """Sixty papers whose texts hold what a line-based form must get right."""
    hard = 'A "quoted", comma,\ttab; and\nline'
    return papers.head(60).with_columns(
        title=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit(hard)).otherwise(pl.col("title")),
        abstract=pl.col("abstract").str.replace(" ", "\n", n=1),
    )


@pytest.mark.parametrize("form", FORMS)
def test_labels_do_not_depend_on_the_form(form: str, wrapped: pl.DataFrame, score: Score, tmp_path: Path) -> None:
    wrapped.write_parquet(tmp_path / "papers.txt")
    FORMS[form](wrapped, tmp_path / "papers.parquet")  # the name says nothing
    for name in ("papers.txt", "papers.parquet"):
        done = score(tmp_path / name, "-o", tmp_path / f"{name}.labels", "--part-rows", 7)
        assert done.code == 0, done.stderr
    found, expected = (pl.read_parquet(tmp_path / f"{name}.labels") for name in ("papers.parquet", "papers.txt"))
    assert found.equals(expected)
    assert found["id"].dtype == pl.String, "0704.0010 is no number"


def test_forms_can_be_mixed_and_labels_are_reused(wrapped: pl.DataFrame, score: Score, tmp_path: Path) -> None:
    wrapped.head(30).write_csv(tmp_path / "papers-1")
    wrapped.tail(30).write_parquet(tmp_path / "papers-2")
    labels = tmp_path / "labels.parquet"
    assert score(tmp_path / "papers-*", "-o", labels).code == 0
    assert pl.read_parquet(labels)["id"].equals(wrapped["id"])
    wrapped.write_ndjson(tmp_path / "all")
    assert "(60 reused)" in score(tmp_path / "all", "-o", labels).stderr
    assert "(60 reused)" in score(tmp_path / "all", "-o", tmp_path / "labels.csv", "--reuse", labels).stderr


@pytest.mark.parametrize("suffix", [".csv", ".TSV", ".jsonl", ".NDJSON"])
def test_labels_are_of_the_form_that_the_suffix_names(
    suffix: str, wrapped: pl.DataFrame, score: Score, tmp_path: Path
) -> None:
    wrapped[5, "title"], wrapped[5, "abstract"] = "", None
    for row, strange in enumerate(
        ['a "strange", id', "a,b,c,d,e,f\ng", "a\tb\tc\td\te\tf\ng", "\n" * 2_000, "a\rb"], 6
    ):
        wrapped[row, "id"] = strange
    wrapped.write_parquet(tmp_path / "papers")
    target = tmp_path / f"labels{suffix}"
    for path in (tmp_path / "labels.parquet", target):
        assert score(tmp_path / "papers", "-o", path, "--max-unscored", 1).code == 0
    expected = pl.read_parquet(tmp_path / "labels.parquet").with_columns(pl.col("content_hash").bin.encode("hex"))
    schema = expected.schema
    if suffix in {".csv", ".TSV"}:
        found = pl.read_csv(target, schema=schema, separator="," if suffix == ".csv" else "\t")
    else:
        found = pl.read_ndjson(target, schema=schema)
    assert found.equals(expected)  # scores too, to the last bit
    assert not parts_folder(target).exists()


def test_a_target_in_text_is_written_whole_or_not_at_all(wrapped: pl.DataFrame, score: Score, tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    target.write_text("what was there\n")
    wrapped.with_columns(title=pl.lit(""), abstract=pl.lit("")).write_csv(tmp_path / "papers.csv")
    assert score(tmp_path / "papers.csv", "-o", target).code == 65  # too many without text
    assert target.read_text() == "what was there\n"
    wrapped.write_csv(tmp_path / "papers.csv")
    done = score(tmp_path / "papers.csv", "-o", target)
    assert done.code == 0
    assert "warning" not in done.stderr, "labels that can never be reused are no reason to warn"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,title,abstract\n1,2\n", "(1 malformed), more than 1.00%"),
        (b"id,title,abstract\n1,2\n", "line 2: expected 3 fields, as the first line has, found 2"),
        (b'id,title,abstract\n1,2,3\n4,"5,6\n', "line 3: unexpected end of data"),
        (b"id,title,abstract\n1,2\r4,3\n", "line 2: new-line character seen in unquoted field)"),
        (b"id,title,abstract\n1,\xff,3\n", "line 2: not UTF-8); a Latin-1 file becomes UTF-8 by: iconv"),
        (b"id,title,abstract\n1,\xff,3\n", "(1 invalid_utf8), more than 1.00%"),
        (b'{"id": "1", "title": "a", "abstract": "b"}\n{"id": \n', "line 2: not JSON: Expecting value at character 7"),
        (b"{}\n", "none with a field"),
        (b"{\n}\n", "none with a field (line 1: not JSON"),
        (b'{"id": "1", "title": "a"}\n', "expected one column 'abstract', found id, title"),
        (b"id,titel,abstract\n1,2,3\n", "did you mean 'titel'?"),
        (b"id,id,title,abstract\n1,2,3,4\n", "found id, id, title, abstract; name your columns"),
        (b"ID,Title,Abstract\n1,2,3\n", "did you mean 'ID'?"),
        (b'id,title,abstract,"com\nment"\n1,2,3,4\n', "names of columns (unexpected end of data); write them in one"),
        (b"no head line", "is not Parquet, JSON lines or CSV"),
        (b'id,title,abstract\r1,2,3\r4,5,"6\n7"\r', "is not Parquet, JSON lines or CSV"),
        (b"\x00,\x01\n", "is not Parquet, JSON lines or CSV"),
        (b"", "is empty"),
    ],
)
def test_what_is_wrong_with_a_text_is_reported(content: bytes, message: str, score: Score, tmp_path: Path) -> None:
    (tmp_path / "papers").write_bytes(content)
    done = score(tmp_path / "papers", "-o", tmp_path / "labels.parquet")
    assert done.code == 65
    assert message in done.stderr
    assert not (tmp_path / "labels.parquet").exists()


def test_a_head_line_alone_is_an_input_without_papers(score: Score, tmp_path: Path) -> None:
    (tmp_path / "papers.csv").write_text("id,title,abstract\n")
    assert score(tmp_path / "papers.csv", "-o", tmp_path / "labels.csv").code == 0
    assert (tmp_path / "labels.csv").read_text() == "id,label,score,error,content_hash,screened\n"


def test_forms_are_recognized_by_their_first_bytes() -> None:
    assert recognize(b"PAR1\x15\x04") is Format.PARQUET
    assert recognize(b'\xef\xbb\xbf \n{"id": 1}') is Format.JSON_LINES
    assert recognize(b"id\ttitle\tabstract\r\n") is Format.DELIMITED
    assert recognize(b"ORCID,id,title,abstract\n") is Format.DELIMITED
    assert recognize("PARENT;id;no\u00a0title\n".encode()) is Format.DELIMITED
    assert recognize(b"<!DOCTYPE html>, \n") is recognize(b"[1,\n") is None
    assert recognize(b"QAR1\x15\x04\x15,\n") is None
    assert recognize(b"id,title,abstract") is None


cell = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8) | st.sampled_from(['"', "a\nb", "a,b", "\t"])
an_id = cell.filter(lambda text: bool(text) and "," not in text)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.tuples(an_id, cell, cell), min_size=1, max_size=5))
def test_any_text_survives_csv_and_json_lines(rows: list[tuple[str, str, str]], tmp_path: Path) -> None:
    """Ids have no comma: the lines of such a row could look like rows, which are refused."""
    frame = pl.DataFrame(rows, schema=["id", "title", "abstract"], orient="row")
    frame.write_csv(tmp_path / "csv", quote_style="always")
    frame.write_ndjson(tmp_path / "jsonl")
    for name in ("csv", "jsonl"):
        found = sources.survey(tmp_path / name)
        batches = [batch for _, batch in sources.read_batches(tmp_path / name, found.schema.names)]
        assert found.rows == len(frame)
        assert pl.DataFrame(pa.Table.from_batches(batches, found.schema)).equals(frame)


def test_memory_does_not_hold_a_whole_text(papers: pl.DataFrame, tmp_path: Path) -> None:
    """Rows come in batches that know where in the file they stand."""
    many = pl.concat([papers] * 20)
    for name, write in (("csv", FORMS["csv"]), ("jsonl", FORMS["ndjson"])):
        write(many, tmp_path / name)
        starts = [(start, batch.num_rows) for start, batch in sources.read_batches(tmp_path / name, ["id"])]
        assert len(starts) > 2
        assert max(rows for _, rows in starts) <= 2_048
        assert [start for start, _ in starts] == [sum(rows for _, rows in starts[:at]) for at in range(len(starts))]


def test_a_row_longer_than_a_block_is_refused(tmp_path: Path) -> None:
    (tmp_path / "papers.csv").write_bytes(b'id,title,abstract\n1,"' + b"x" * (9 << 20) + b'",b\n')
    with pytest.raises(InputDataError, match="row"):
        sources.survey(tmp_path / "papers.csv")


@pytest.mark.parametrize("before", [0, 2], ids=["first", "third"])
def test_a_line_longer_than_a_row_of_csv_is_refused_unread(before: int, score: Score, tmp_path: Path) -> None:
    """Of a line without an end, no more than the bound is read."""
    path = tmp_path / "papers.jsonl"
    line = b'{"id": "1", "title": "a", "abstract": "b"}\n'
    path.write_bytes(line * before + b'{"id": "2", "title": "' + b"x" * (4 << 20) + b'", "abstract": "b"}\n' + line)
    done = score(path, "-o", tmp_path / "labels.parquet")
    assert done.code == 65
    assert f"line {before + 1}: longer than 4 MiB" in done.stderr
    with path.open("r+b") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    with pytest.raises(InputDataError, match="longer than 4 MiB"):
        sources.survey(path)
    assert tracemalloc.get_traced_memory()[1] < 12 << 20
    tracemalloc.stop()


def test_a_line_as_long_as_may_be_is_read(tmp_path: Path) -> None:
    head, tail = b'{"id": "1", "title": "', b'", "abstract": "b"}\n'
    (tmp_path / "papers.jsonl").write_bytes(head + b"x" * ((4 << 20) - len(head) - len(tail)) + tail)
    assert sources.survey(tmp_path / "papers.jsonl").rows == 1
