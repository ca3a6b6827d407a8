"""Dates of papers, from the columns of a dump and from arXiv ids."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ro32.data.utf8 import is_text

CREATED, UPDATED = "created", "update_date"
"""Columns that tell a date, where a dump has them: of a paper's first version, and of its latest."""
UNKNOWN = -1
"""Stands for the month or the year of a paper of which nothing tells it."""
MONTHS_A_YEAR = 12
_NEW_ID = r"^(\d{2}(?:0[1-9]|1[0-2]))\.\d{4,5}(?:v\d+)?$"
_OLD_ID = r"^[a-z-]+(?:\.[A-Z]{2})?/(\d{2}(?:0[1-9]|1[0-2]))\d{3}(?:v\d+)?$"
"""arXiv's ids since April 2007, and before: year and month. Source: https://info.arxiv.org/help/arxiv_identifier.html"""
ARXIV_ID = rf"{_NEW_ID}|{_OLD_ID}"


def date_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that tell a date, of those that a file has."""
    there = [schema.field(name) for name in (CREATED, UPDATED) if schema.get_field_index(name) >= 0]
    return [field.name for field in there if is_text(field.type) or pa.types.is_temporal(field.type)]


def appeared(frame: pl.DataFrame, identifier: str) -> pl.Series:
    """Find the day of each paper's first version: as the column created has it, else by its id, else by update_date.

    An id, in the column `identifier`, tells the month. The day is that of update_date if it is in this month, the
    month's last day if the paper was updated later, and the first where nothing tells more.

    Returns:
        n dates; null if nothing tells one.
    """
    name = pl.col(identifier).cast(pl.String)
    dates = [
        (_date(column) if column in frame.columns else pl.lit(None, pl.Date)).alias(column)
        for column in (CREATED, UPDATED)
    ]
    digits = frame.select(pl.coalesce(name.str.extract(_NEW_ID), name.str.extract(_OLD_ID)).alias("digits"), *dates)
    century = pl.when(pl.col("digits").str.starts_with("9")).then(pl.lit("19")).otherwise(pl.lit("20"))  # from 1991 on
    by_id = (century + pl.col("digits") + "01").str.to_date("%Y%m%d", strict=False).alias("by_id")
    updated, first = pl.col(UPDATED), pl.col("by_id")
    refined = pl.when(updated >= first).then(pl.min_horizontal(updated, first.dt.month_end())).otherwise(first)
    return digits.with_columns(by_id).select(pl.coalesce(CREATED, refined, UPDATED)).to_series()


def months(dates: pl.Series) -> NDArray[np.int32]:
    """Count months since year 0, shape (n,); `UNKNOWN` where there is no date."""
    found = dates.dt.year() * MONTHS_A_YEAR + dates.dt.month().cast(pl.Int32) - 1
    return found.fill_null(UNKNOWN).to_numpy()


def month_name(month: int) -> str:
    """Write a month as in 2024-11."""
    return f"{month // MONTHS_A_YEAR:04}-{month % MONTHS_A_YEAR + 1:02}"


def _date(column: str) -> pl.Expr:
    """Read a date as in 2024-11-30, of whatever type, or a month, which stands for its first day."""
    text = pl.col(column).cast(pl.String).str.slice(0, 10)
    day = pl.when(text.str.len_bytes() == len("2024-11")).then(text + "-01").otherwise(text)
    return day.str.to_date("%Y-%m-%d", strict=False)
