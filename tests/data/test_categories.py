"""Categories in the forms that dumps have them."""

from pathlib import Path

import polars as pl
import pytest

from ro32.data.categories import split_categories
from ro32.errors import InputDataError
from ro32.evaluation.truth import read_truth


@pytest.mark.parametrize(
    "values",
    [
        ["cs.RO hep-th", "cond-mat.mes-hall", "", None],
        ["cs.RO,hep-th", "cond-mat.mes-hall", "", None],
        ["cs.RO; hep-th", " cond-mat.mes-hall ", " ", None],
        ["cs.RO\thep-th\n", "cond-mat.mes-hall|", "", None],
        ["['cs.RO', 'hep-th']", '["cond-mat.mes-hall"]', "[]", None],
        [["cs.RO", "hep-th"], ["cond-mat.mes-hall"], [], None],
        [["cs.RO hep-th"], [None, "cond-mat.mes-hall"], [""], None],
    ],
)
def test_every_usual_form_is_understood(values: list[str | list[str] | None]) -> None:
    expected = [["cs.RO", "hep-th"], ["cond-mat.mes-hall"], [""], [""]]
    column = pl.Series("categories", values)
    assert split_categories(column, "papers").to_list() == expected
    if column.dtype == pl.String:
        assert split_categories(column.cast(pl.Categorical), "papers").to_list() == expected


def test_a_column_of_nulls_has_no_categories() -> None:
    assert split_categories(pl.Series([None, None]), "papers").to_list() == [[""], [""]]


@pytest.mark.parametrize(
    "value", ["cs.RO/cs.AI", "Computer Science - Robotics", "cs.RO:cs.AI", "{cs.RO}", 7, {"a": "b"}, [1.5j]]
)
def test_what_is_something_else_is_refused(value: object) -> None:
    dtype = pl.Object if isinstance(value, list) else None
    with pytest.raises(InputDataError, match=r"papers.*: expected categories"):
        split_categories(pl.Series("categories", [None, value], dtype=dtype), "papers")


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_truth_is_the_same_in_every_form(form: str, papers: pl.DataFrame, tmp_path: Path) -> None:
    expected = papers["categories"].str.split(" ").list.contains("cs.RO").to_list()
    listed = papers.with_columns(pl.col("categories").str.split(" "))
    path = tmp_path / "papers"
    if form == "parquet":
        listed.write_parquet(path)
    elif form == "jsonl":
        listed.write_ndjson(path)
    else:
        papers.with_columns(pl.col("categories").str.replace_all(" ", ",")).write_csv(path)
    truth = read_truth([str(path)], "cs.RO")
    assert truth.listed.tolist() == expected
    assert any(expected)
