"""Slices: every paper counted once, and errors on the right side."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from export.slices import COLUMNS, errors, judge, report, table


@pytest.fixture(scope="module")
def papers(papers_path: Path) -> pl.DataFrame:
    frame = pl.read_parquet(papers_path, columns=list(COLUMNS))
    scores = np.random.default_rng(1).random(len(frame))
    return judge(frame.with_columns(score=scores), threshold=0.7, category="cs.RO")


def test_groups_add_up_to_all_papers(papers: pl.DataFrame) -> None:
    rows = [line.strip("| ").split(" | ") for line in table(papers, "year").splitlines()[2:]]
    assert sum(int(row[1].replace(",", "")) for row in rows) == len(papers)
    assert sum(int(row[2]) for row in rows) == papers["truth"].sum()


def test_errors_are_errors_and_the_most_confident_first(papers: pl.DataFrame) -> None:
    for called in (True, False):
        shown = [line.strip("| ").split(" | ") for line in errors(papers, called=called).splitlines()[2:]]
        found = papers.filter(pl.col("id").is_in([row[1] for row in shown]))
        assert (found["truth"] != called).all()
        assert [row[0] for row in shown] == sorted((row[0] for row in shown), reverse=called)


def test_the_report_has_five_sections(papers: pl.DataFrame) -> None:
    assert report(papers, "cs.RO").count("### ") == 5
