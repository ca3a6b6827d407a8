"""Rows of texts that cannot be read keep their places, and quotes swallow none; compressed texts are streams."""

import bz2
import gzip
import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from ro32.data import sources
from ro32.data.parquet import ERRORS_COLUMN
from ro32.errors import InputDataError
from ro32.model.outcomes import INVALID_UTF8, MALFORMED

COLUMNS = ("id", "title", "abstract")
GOOD = b'{"id": "9", "title": "a", "abstract": "b"}\n'


def read(path: Path, columns: tuple[str, ...] = COLUMNS) -> list[dict[str, str | None]]:
    rows = []
    for _, batch in sources.read_batches(path, columns):
        rows += [{ERRORS_COLUMN: None} | row for row in batch.to_pylist()]
    found = sources.survey(path, columns=columns)
    assert found.rows == len(rows)
    assert bool(found.faults) == any(row[ERRORS_COLUMN] for row in rows)
    return rows


@pytest.mark.parametrize(
    ("line", "id_", "error"),
    [
        (b'{"id": 1001.0010, "title": "a", "abstract": "b"}', "1001.0010", None),
        (b'{"id": 18446744073709551616000, "title": 1984, "abstract": 1e5}', "18446744073709551616000", None),
        (b'{"id": "1", "title": null, "abstract": "\\u0000 \\ud835\\udd38"}', "1", None),
        (b'{"id": "1", "title": "a", "abstract": ["b", "c"]}', "1", MALFORMED),
        (b'{"id": "1", "title": {"a": 1}, "abstract": "b"}', "1", MALFORMED),
        (b'{"id": true, "title": "a", "abstract": "b"}', None, MALFORMED),
        (b'{"id": "1", "title": "a", "abstract": NaN}', None, MALFORMED),
        (b'{"id": "1", "title": "a", "title": "b", "abstract": "c"}', "1", MALFORMED),
        (b'{"id": "1", "id": "2", "title": "b", "abstract": "c"}', None, MALFORMED),
        (b'{"id": "1", "\\u0069d": "2", "title": "b", "abstract": "c"}', None, MALFORMED),
        (b'{"id": "1", "title": "a", "abstract": "b"}{}', None, MALFORMED),
        (b'{"id": "1", "title": "a", "abstr', None, MALFORMED),
        (b'["1", "a", "b"]', None, MALFORMED),
        (b'{"id": "1", "title": "a", "x": %b%b}' % (b"[" * 5_000, b"]" * 5_000), None, MALFORMED),
        (b'{"id": "1", "title": "a \xff", "abstract": "b"}', "1", INVALID_UTF8),
        (b'{"id": "1", "title": "a", "abstract": "\\ud835"}', "1", INVALID_UTF8),
        (b'{"id": "1", "title": "a", "abstract": "b", "authors": "\xff"}', "1", None),
        (b'{"id": "1", "title": "a", "abstract": "b", "x": {"title": "c"}}', "1", None),
    ],
)
def test_one_bad_line_costs_one_row(line: bytes, id_: str | None, error: str | None, tmp_path: Path) -> None:
    path = tmp_path / "papers"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n" + line + b"\r\n" + GOOD.rstrip())
    rows = read(path)
    assert [row["id"] for row in rows] == ["9", id_, "9"]
    assert [row[ERRORS_COLUMN] for row in rows] == [None, error, None]
    if error is not None:
        assert "1 row cannot be read (line 3: " in sources.survey(path, columns=COLUMNS).faults
    alone = [row["id"] for row in read(path, ("id",))]
    assert alone == [row["id"] for row in rows], "an id depends on what is read beside it"


def test_a_name_beyond_ascii_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "papers").write_text('{"id": "1", "título": "a"}\n{"id": "2", "título": "b", "título": "c"}\n')
    rows = read(tmp_path / "papers", ("id", "título"))
    assert [(row["título"], row[ERRORS_COLUMN]) for row in rows] == [("a", None), (None, MALFORMED)]


def test_a_field_that_the_first_object_lacks_is_a_column(tmp_path: Path) -> None:
    """As of Spark, which leaves out what is null."""
    (tmp_path / "papers").write_bytes(b'{"id": "1", "title": "a"}\n{}\n' + GOOD)
    assert [row["abstract"] for row in read(tmp_path / "papers")] == [None, None, "b"]
    many = json.dumps({str(number): "a" for number in range(5_000)}).encode()
    (tmp_path / "papers").write_bytes(many + b"\n" + GOOD)
    assert "id" not in sources.survey(tmp_path / "papers", columns=COLUMNS).schema.names


@pytest.mark.parametrize("name", [b"\\ud800", b"\xff"])
def test_a_field_whose_name_is_no_text_is_no_column(name: bytes, tmp_path: Path) -> None:
    (tmp_path / "papers").write_bytes(b'{"id": "1", "%b": "x"}\n' % name)
    assert read(tmp_path / "papers", ("id",)) == [{"id": "1", ERRORS_COLUMN: None}]
    assert sources.survey(tmp_path / "papers").schema.names == ["id"]


@pytest.mark.parametrize(
    ("content", "ids", "errors"),
    [
        (b"1,2\n2,b,c\n", [None, "2"], [MALFORMED, None]),
        (b"1,a,b,c\n\n2,b,c\n", [None, "2"], [MALFORMED, None]),
        (b'1,"a" held,b\n2,b,c\n', [None, "2"], [MALFORMED, None]),
        (b'1,a "held" b,c\n2,b,c\n', ["1", "2"], [None, None]),
        (b"1,\xff,b\n2,b,c\n", ["1", "2"], [INVALID_UTF8, None]),
        (b'1,"a\n\nb, c\n""d""",e\r\n2,b,c', ["1", "2"], [None, None]),
        (b'1,"a\x00",e\n', ["1"], [None]),
        (b'1,a,"so on,\n1 of many, and so on"\n2,b,c\n', ["1", "2"], [None, None]),
    ],
)
def test_one_bad_row_of_csv_costs_one_row(
    content: bytes, ids: list[str | None], errors: list[str | None], tmp_path: Path
) -> None:
    (tmp_path / "papers").write_bytes(b"id,title,abstract\n" + content)
    rows = read(tmp_path / "papers")
    assert [row["id"] for row in rows] == ids
    assert [row[ERRORS_COLUMN] for row in rows] == errors
    assert [row["id"] for row in read(tmp_path / "papers", ("id",))] == ids


@pytest.mark.parametrize(
    "content",
    [
        '1,Hand,"Grasps are planned\n2,Mass,plain\n3,Stars,dim stars"\n4,Plain,plain\n',
        '1,"Hand,plain\n2,Mass",plain\n3,a,b\n',
        '1,Hand,"Grasps\n2,Mass,plain\n3,"Stars, too",dim\n',
        '1,Hand,"Grasps\n' + "2,Mass,plain\n" * 2_000,
        '1,Hand,"Grasps\n' + f"2,Mass,{'x' * 10_000}\n" * 500,
        '1,Hand,"Grasps\n2,Mass,plain\n',
    ],
)
def test_a_stray_quote_swallows_no_row(content: str, tmp_path: Path) -> None:
    """In CSV it is refused, with its line; with tabs it is text."""
    path = tmp_path / "papers"
    path.write_text(f"id,title,abstract\n0,a,b\n{content}")
    with pytest.raises(InputDataError, match=r"line 3: a quote is not closed"):
        sources.survey(path)
    path.write_text(f"id\ttitle\tabstract\n{content}".replace(", ", " ").replace(",", "\t"))
    assert len(read(path)) == content.count("\n")
    assert not sources.survey(path).faults


def test_quotes_of_a_file_with_tabs_are_those_of_rfc_4180_where_they_close(tmp_path: Path) -> None:
    (tmp_path / "papers").write_text('id\ttitle\tabstract\n1\t"a\t""b""\nc"\td\n2\t"Hand" held\te\n')
    assert [row["title"] for row in read(tmp_path / "papers")] == ['a\t"b"\nc', '"Hand" held']


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def pzstd(content: bytes) -> bytes:
    frame = zstd(content)
    return struct.pack("<III", 0x184D2A50, 4, len(frame)) + frame


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for added in ("__MACOSX/._papers.json", ".DS_Store", "./data/.DS_Store"):
            archive.writestr(added, b"junk")
        archive.writestr("./data/papérs.json", content)
    return file.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "Zstandard": zstd,
    "pzstd": pzstd,
    "zip": zipped,
}


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_compressed_texts_are_what_they_hold(kind: str, form: str, papers: pl.DataFrame, tmp_path: Path) -> None:
    path, expected = tmp_path / "papers", papers.select(COLUMNS)
    plain = (expected.write_csv() if form == "csv" else expected.write_ndjson()).encode()
    first, second = plain[:50_000], plain[50_000:]
    compress = COMPRESS[kind]
    whole = compress(first + second) if kind == "zip" else compress(first) + compress(second)
    path.write_bytes(whole)
    assert pl.DataFrame(read(path)).select(COLUMNS).equals(expected)
    path.write_bytes(whole[: len(whole) - 300])
    with pytest.raises(InputDataError, match=r"papers: .*(damaged|cut off)"):
        sources.survey(path)


@pytest.mark.parametrize("kind", [kind for kind in COMPRESS if kind != "zip"])
def test_a_second_stream_that_is_damaged_is_not_the_end(kind: str, tmp_path: Path) -> None:
    first, second = COMPRESS[kind](GOOD), COMPRESS[kind](GOOD)
    (tmp_path / "papers").write_bytes(first + second)
    assert sources.survey(tmp_path / "papers").rows == 2
    (tmp_path / "papers").write_bytes(first + bytes([second[0] ^ 128]) + second[1:])
    with pytest.raises(InputDataError, match="damaged or cut off"):
        sources.survey(tmp_path / "papers")


def test_no_flipped_bit_of_the_directory_of_a_zip_archive_is_a_bug(tmp_path: Path) -> None:
    whole, refused = zipped(GOOD), 0
    for bit in range(8 * whole.index(b"PK\x01\x02"), 8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "papers").write_bytes(flipped)
        try:
            assert sources.survey(tmp_path / "papers").rows == 1
        except InputDataError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_file_whose_name_is_no_text_is_decompressed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"pap\xffers")
    path.write_bytes(COMPRESS[kind](GOOD))
    assert [row["id"] for row in read(path)] == ["9"]


def test_what_expands_too_far_is_refused_and_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    line = json.dumps({"id": "1", "title": "a", "abstract": "x" * 1_000_000}).encode() + b"\n"
    path.write_bytes(b"".join([gzip.compress(line * 8, 9)] * 16))
    tracemalloc.start()
    with pytest.raises(InputDataError, match="raise --max-expansion"):
        sources.survey(path)
    assert sources.survey(path, max_expansion=5_000).rows == 128
    rows = sum(batch.num_rows for _, batch in sources.read_batches(path, COLUMNS))
    assert rows == 128
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def archive_of(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "id,title\n")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b'[\n {"id": "1"}\n]\n', r"JSON array.*jq -c"),
        (GOOD.decode().encode("utf-16"), r"UTF-16.*iconv -f utf-16"),
        ("id,title,abstract\n".encode("utf-16-le"), "UTF-16LE.*iconv"),
        ("id,título,abstract\n1,a,b\n".encode("latin1"), r"not UTF-8.*iconv -f latin1"),
        (b"\xfd7zXZ\x00\x00\x04", "xz.*xz -dc"),
        (gzip.compress(b"PAR1" + b"\0" * 100, mtime=0), "Parquet within gzip is not supported"),
        (b"PARE" + b"\0" * 100 + b"PARE", "encrypted"),
        (b"ARROW1\0\0" + b"\0" * 50, "Arrow IPC"),
        (b"<!DOCTYPE html>\n<html>\n", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (archive_of("a.csv", "b.csv"), "one file, found 2: 'a.csv', 'b.csv'"),
        (archive_of("[Content_Types].xml", "xl/workbook.xml"), "an office document.*as CSV"),
        (archive_of("mimetype", "content.xml"), "an office document.*as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 50, "an office document.*as CSV"),
        (gzip.compress(b"", mtime=0), "is empty"),
    ],
)
def test_other_forms_are_named_with_the_way_out(content: bytes, named: str, tmp_path: Path) -> None:
    (tmp_path / "papers").write_bytes(content)
    with pytest.raises(InputDataError, match=named) as raised:
        sources.survey(tmp_path / "papers")
    assert "get the file again" not in str(raised.value) or named in {"HTML", "is empty"}
