"""What is known of a dump's papers besides their texts."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ro32.data.dates import UNKNOWN
from ro32.errors import InputDataError
from ro32.evaluation.details import Paper, read_details
from ro32.evaluation.truth import TruthColumns, read_truth


def write(folder: Path, **columns: object) -> list[str]:
    pl.DataFrame(columns).write_parquet(folder / "papers.parquet")
    return [str(folder / "papers.parquet")]


@pytest.mark.parametrize(
    ("identifier", "year"),
    [
        ("0704.0001", 2007),
        ("1912.12061", 2019),
        ("2512.00001v3", 2025),
        ("hep-th/9301059", 1993),
        ("math.GT/0309136", 2003),
        ("cond-mat/0001001", 2000),
        ("1913.00001", UNKNOWN),  # there is no thirteenth month
        ("0000.0000000001", UNKNOWN),
        ("", UNKNOWN),
        ("2019", UNKNOWN),
    ],
)
def test_ids_tell_years(tmp_path: Path, identifier: str, year: int) -> None:
    truth = read_truth(write(tmp_path, id=[identifier], categories=["cs.RO"]), "cs.RO")
    assert truth.year.tolist() == [year]
    known = year != UNKNOWN
    assert (Paper(id=identifier, title="", abstract="", categories=()).url is not None) == known


def test_the_first_versions_date_goes_before_the_id_and_the_id_before_the_latest_date(tmp_path: Path) -> None:
    inputs = write(
        tmp_path,
        id=["2001.00001", "2001.00002", "x", "y"],
        categories=["cs.RO"] * 4,
        created=[date(2019, 12, 31), None, None, None],
        update_date=[date(2022, 1, 1), date(2022, 1, 1), date(2021, 5, 5), None],
    )
    assert read_truth(inputs, "cs.RO").year.tolist() == [2019, 2020, 2021, UNKNOWN]


def test_categories_are_whole_tokens_and_the_first_is_primary(tmp_path: Path) -> None:
    inputs = write(tmp_path, id=list("abcde"), categories=["cs.RO math.OC", "math.OC cs.RO", "cs.ROB", None, " cs.RO "])
    truth = read_truth(inputs, "cs.RO")
    assert truth.listed.tolist() == [True, True, False, False, True]
    assert [truth.categories[at] for at in truth.primary] == ["cs.RO", "math.OC", "cs.ROB", "", "cs.RO"]


def test_lengths_are_of_characters_without_white_space_at_the_ends(tmp_path: Path) -> None:
    inputs = write(
        tmp_path, id=["a", "b"], categories=["x", "x"], title=["Größe", None], abstract=["  two\nwords\n", "  "]
    )
    assert read_truth(inputs, "x").characters.tolist() == [5 + 9, 0]


def test_a_dump_without_texts_has_no_lengths(tmp_path: Path) -> None:
    inputs = write(tmp_path, id=["a"], categories=["x"], title=["t"])
    assert read_truth(inputs, "x").characters.tolist() == [UNKNOWN]
    assert read_details(inputs, [0], TruthColumns())[0].abstract == ""


def test_columns_of_other_types_and_names_are_read(tmp_path: Path) -> None:
    frame = pl.DataFrame({"number": [7, 8], "lists": ["cs.RO", "cs.CV"], "created": ["2019-05-01", "unknown"]})
    frame.with_columns(pl.col("lists").cast(pl.Categorical)).write_parquet(tmp_path / "papers.parquet")
    truth = read_truth([str(tmp_path)], "cs.RO", TruthColumns(id="number", categories="lists"))
    assert truth.ids.to_pylist() == ["7", "8"]
    assert truth.listed.tolist() == [True, False]
    assert truth.year.tolist() == [2019, UNKNOWN]


def test_missing_categories_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="'categories'"):
        read_truth(write(tmp_path, id=["a"]), "cs.RO")


def test_details_are_those_of_the_rows_across_files(tmp_path: Path, papers_path: Path) -> None:
    papers = pl.read_parquet(papers_path)
    for name, start in (("a", 0), ("b", 700), ("c", 1_400)):
        papers.slice(start, 700).write_parquet(tmp_path / f"{name}.parquet", row_group_size=300)
    rows = [0, 699, 700, 1_399, 1_400, 1_999]
    found = read_details([str(tmp_path)], rows, TruthColumns())
    assert list(found) == rows
    for row, paper in found.items():
        assert paper.id == papers["id"][row]
        assert paper.title == " ".join(papers["title"][row].split())
        assert list(paper.categories) == papers["categories"][row].split()


@given(st.text())
def test_a_link_is_only_made_of_an_id_that_is_arxivs(text: str) -> None:
    url = Paper(id=text, title="", abstract="", categories=()).url
    assert url is None or set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-./0123456789")


@pytest.mark.parametrize("text", ["1912.12061\n", '1912.12061"onclick="x', "javascript:/9301059", "../9301059#9301059"])
def test_ids_that_only_look_like_arxivs_get_no_link(text: str) -> None:
    assert Paper(id=text, title="", abstract="", categories=()).url is None
