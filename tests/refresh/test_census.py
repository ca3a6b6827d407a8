"""The census: what a dump's ids, categories and dates say, and what is refused before any work."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.data.dates import UNKNOWN, month_name
from ro32.errors import InputDataError, UsageError
from ro32.refresh.census import check_positives, parse_month, take_census
from ro32.train.dump import Dump


def write(path: Path, frame: pl.DataFrame) -> Dump:
    frame.write_parquet(path)
    return Dump.open(path)


def frame(ids: list[str], categories: list[str], **more: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"id": ids, "title": ids, "abstract": ids, "categories": categories, **more})


def test_months_come_from_dates_and_ids(tmp_path: Path) -> None:
    ids = ["2411.00001", "hep-th/9912001v2", "cs.RO/0701123", "thesis-7", "2413.00001"]
    papers = write(tmp_path / "papers", frame(ids, ["cs.RO", "b", "b", "b", "b"]))
    found = take_census([papers], "cs.RO").month
    assert [month_name(month) for month in found[:3].tolist()] == ["2024-11", "1999-12", "2007-01"]
    assert (found[3:] == UNKNOWN).all()
    dated = frame(["1", "2411.00002"], ["cs.RO", "b"], created=["2020-05-01", ""], update_date=["2021-01-01"] * 2)
    assert [month_name(m) for m in take_census([write(tmp_path / "dated", dated)], "cs.RO").month.tolist()] == [
        "2020-05",
        "2024-11",
    ]


def test_dates_in_the_future_are_not_the_newest(tmp_path: Path) -> None:
    papers = frame(["1", "2"], ["cs.RO", "b"], created=["2020-05-01", "2999-01-01"])
    assert month_name(take_census([write(tmp_path / "papers", papers)], "cs.RO").newest) == "2020-05"


def test_a_paper_counts_once_and_is_drawn_alike_in_every_dump(tmp_path: Path) -> None:
    first = write(tmp_path / "first", frame(["1", "2", "3"], ["cs.RO", "b", "b"], created=["2024-11-01"] * 3))
    second = write(tmp_path / "second", frame(["2", "4"], ["cs.RO", "b"], created=["2024-11-01"] * 2))
    both = take_census([first, second], "cs.RO")
    assert both.latest.tolist() == [True, False, True, True, True]
    assert both.positive.tolist() == [True, False, False, True, False]
    alone = take_census([second], "cs.RO")
    np.testing.assert_array_equal(both.draw[3:], alone.draw)
    assert both.draw[1] == both.draw[3]
    assert ((both.draw >= 0) & (both.draw < 1)).all()


@pytest.mark.parametrize(
    ("categories", "reason"),
    [
        (["cs.RI", "b"], r"no paper is listed in cs\.RO"),
        (["cs.RO", "cs.RO cs.AI"], "found only one kind"),
        (["cs.RO", "b"], "no paper has a date"),
        (["cs.RO", "What is this? A sentence."], "expected categories such as"),
    ],
)
def test_a_dump_of_no_use_is_refused(categories: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=reason):
        take_census([write(tmp_path / "papers", frame(["1", "2"], categories))], "cs.RO")


def test_few_positives_are_refused() -> None:
    check_positives(np.arange(100) < 50, "them", "cs.RO")
    for positive in (np.arange(100) < 49, np.ones(100, dtype=np.bool_)):
        with pytest.raises(InputDataError, match=r"at least 50 papers of cs\.RO"):
            check_positives(positive, "them", "cs.RO")


def test_dates_are_read() -> None:
    assert month_name(parse_month("2024-11-30")) == month_name(parse_month("2024-11")) == "2024-11"
    for text in ("last year", "2024", "2024-13", "2024-11-99", "2024-11 or so"):
        with pytest.raises(UsageError, match="2024-11"):
            parse_month(text)
