"""The text forms: which text of a paper is tokenized. The form belongs to the model, and its bundle names it.

`ro32`, as SPECTER has it (Cohan et al., ACL 2020, https://aclanthology.org/2020.acl-main.207): two fields,

    [CLS] title [SEP] abstract [SEP]

`original`, as CSET's ro-32 was trained on: one field, title + ". " + abstract, also where one of them is empty, cleaned
in this order:

    inline math     from one or more $ to the next ones, with text between: a space
    NFKC            Unicode's compatibility composition
    punctuation     Unicode's categories P, but the period: a space each
    currency        each of `_CURRENCY`: _CUR_
    accents         NFKD, and what has a combining class goes
    numbers         _NUMBER_: a sign + or none, then thousands in groups of three after a space or a period, or a
                    decimal fraction, or an integer. No letter, digit, underscore or period stands before it, and it
                    ends where a word ends. So $5 becomes _CUR_5, and x2 stays
    white space     each run: one space; none at the ends

Sources: the order is that of https://github.com/georgetown-cset/arxiv-classifiers (dataset/util/preprocess.py);
punctuation, currency, accents and numbers are those of textacy's `preprocessing` (https://github.com/chartbeat-labs/textacy,
resources.py and remove.py). The original's pattern of inline math is not published.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray

MAX_CHARS = 65_536
"""Characters of a title or an abstract that count, Unicode code points. Only `max_length` tokens do in the end, and 512
tokens of arXiv text are about 2,600 characters; the limit keeps a damaged row from costing a minute."""
CONFIG_KEY = "text_form"
"""Where config.json of a checkpoint names its form."""
_ORIGINAL_KEY = "label_names"
"""A key that the original's training wrote into config.json, and nothing else does."""
_TOKEN = re.compile(r"[0-9A-Za-z]")
"""Every tokenizer finds a token in a text that holds one of these."""
_MATH = r"\$+[^$]+\$+"
_PUNCTUATION = r"[\p{P}--.]"
_CURRENCY = "[$¢£¤¥ƒ֏؋৲৳૱௹฿៛ℳ元円圆圓﷼\u20a0-\u20c0]"
_NUMBER = re.compile(r"(?<![\w.])\+?(?:[1-9]\d{0,2}(?:[ .]\d{3})+|\d*?\.\d+|\d+)(?:$|\b)")
"""Polars' regular expressions cannot look behind, so this one is Python's."""
_PLANES = 0x20000
"""Code points in the two planes of Unicode that have combining characters."""


class TextForm(StrEnum):
    """How title and abstract become the text that is tokenized."""

    RO32 = "ro32"
    ORIGINAL = "original"

    @property
    def description(self) -> str:
        """The form in words, for cards."""
        if self is TextForm.RO32:
            return "title + `[SEP]` + abstract, runs of white space collapsed"
        return (
            'title + ". " + abstract, without inline math, punctuation but the period, and accents, with `_CUR_` for'
            " currency signs and `_NUMBER_` for numbers"
        )

    def fields(self, titles: Sequence[str], abstracts: Sequence[str]) -> tuple[Sequence[str], ...]:
        """Return the texts to tokenize for n papers of normalized text: one field, or two that a separator divides."""
        titles, abstracts = ([text[:MAX_CHARS] for text in texts] for texts in (titles, abstracts))
        if self is TextForm.RO32:
            return titles, abstracts
        return (_clean([f"{title}. {abstract}" for title, abstract in zip(titles, abstracts, strict=True)]),)

    def surely_have_tokens(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which of n papers of normalized text have a token of text by any tokenizer, shape (n,)."""
        papers = zip(*self.fields(titles, abstracts), strict=True)
        return np.array([any(map(_TOKEN.search, paper)) for paper in papers], dtype=np.bool_)


def text_form_of(config: Mapping[str, object]) -> TextForm:
    """Return the form of a checkpoint, given its config.json: named there, or the original's, or ro32's own.

    Raises:
        ValueError: It names another one.
    """
    named = config.get(CONFIG_KEY)
    if named is None:
        return TextForm.ORIGINAL if _ORIGINAL_KEY in config else TextForm.RO32
    if named not in list(TextForm):
        raise ValueError(f"{CONFIG_KEY}: expected {' or '.join(TextForm)}, found {named!r}; update ro32")
    return TextForm(str(named))


def _clean(texts: Sequence[str]) -> list[str]:
    """Clean n texts as the form `original` has it."""
    column = pl.col("text").str.replace_all(_MATH, " ").str.normalize("NFKC").str.replace_all(_PUNCTUATION, " ")
    column = column.str.replace_all(_CURRENCY, "_CUR_").str.normalize("NFKD").str.replace_all(_combining(), "")
    cleaned = pl.Series("text", texts, dtype=pl.String).to_frame().select(column.str.head(2 * MAX_CHARS))["text"]
    return [" ".join(_NUMBER.sub("_NUMBER_", text).split()) for text in cleaned]


@cache
def _combining() -> str:
    """Return a class of the characters with a combining class, of which Polars' regular expressions know nothing."""
    codes = [code for code in range(_PLANES) if unicodedata.combining(chr(code))]
    runs = groupby(enumerate(codes), key=lambda item: item[1] - item[0])
    ranges = ([code for _, code in run] for _, run in runs)
    return "[" + "".join(f"\\x{{{run[0]:X}}}-\\x{{{run[-1]:X}}}" for run in ranges) + "]"
