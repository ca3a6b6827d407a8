"""The categories of papers, in the formats that dumps use."""

import polars as pl

from ro32.errors import InputDataError

_BETWEEN = r"[\s,;|\[\]()'\"]"
"""What stands between categories and around them, lists written as text among them."""
_CATEGORIES = r"^(?:[A-Za-z0-9][\w.+-]*(?: [A-Za-z0-9][\w.+-]*)*)?$"
"""Categories in the form of arXiv's, with a space between two."""


def split_categories(column: pl.Series, where: str, first_row: int = 0) -> pl.Series:
    """Split categories as dumps have them: lists, or strings with spaces, commas, semicolons or bars between.

    Args:
        column: n values.
        where: Names the file in messages.
        first_row: The first value's row of the file.

    Returns:
        n lists of strings; that of a paper without categories holds an empty one.

    Raises:
        InputDataError: A value is something else, such as a sentence.
    """
    try:
        if isinstance(column.dtype, (pl.List, pl.Array)):
            column = as_text(column)
        if not isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
            raise InputDataError(
                f"{where}: expected categories as strings or lists of strings in column {column.name!r}, found "
                f"{column.dtype}; convert them"
            )
        text = column.cast(pl.String).fill_null("").str.replace_all(f"{_BETWEEN}+", " ").str.strip_chars(" ")
    except pl.exceptions.PolarsError as error:
        raise InputDataError(f"{where}: categories cannot be read as strings: {error}; convert them") from error
    if (at := next(iter((~text.str.contains(_CATEGORIES)).arg_true()), None)) is not None:
        raise InputDataError(
            f"{where}, row {first_row + at:,}: expected categories such as 'cs.RO cs.AI', found {column[at]!r:.80}; "
            "separate them by spaces, commas or semicolons"
        )
    return text.str.split(" ")


def as_text(column: pl.Series) -> pl.Series:
    """Return n values as strings, the items of lists with a space between; raise PolarsError if their type has none."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if isinstance(column.dtype, pl.List):
        column = column.cast(pl.List(pl.String)).list.join(" ", ignore_nulls=True)
    return column.cast(pl.String)


def is_listed(text: pl.Series, category: str) -> pl.Series:
    """Return which of n papers list a category, given their categories as text in the same forms.

    Takes a fifth of the time of splitting them. Null if a paper has no categories; a text that is not categories lists
    none.
    """
    letters = "".join(rf"\x{{{ord(letter):x}}}" for letter in category)  # whatever it holds is no pattern
    found = text.str.contains(rf"(?:^|{_BETWEEN}){letters}(?:$|{_BETWEEN})")
    return found.set(~text.str.contains(r"\w"), None)
