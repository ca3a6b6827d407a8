"""Converts a paper's title and abstract to token ids, the same way in training, export and scoring.

One sequence with all token types 0, cut on the right to the model's maximum length. Runs of white space collapse to
one space first, then the model's text form (`ro32.model.text_form`) says what is tokenized. What looks like a control
token in a paper ("[SEP]", "[MASK]") is text like any other.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ro32.errors import UsageError
from ro32.model.text_form import MAX_CHARS, TextForm

TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
"""What transformers keeps of a tokenizer beside tokenizer.json."""
_MAX_RAW_CHARS = 16 * MAX_CHARS
"""The same before white space is collapsed: what is cut first takes no time."""
_UNKNOWN = "\U00013000"
"""A hieroglyph, which no vocabulary has: some tokenizers fail at what they do not know, and would at some paper."""


def normalize(column: pl.Expr) -> pl.Expr:
    """Collapse every run of Unicode white space to one space and strip both ends; null becomes empty.

    What lies beyond `MAX_CHARS` is cut off, so no text takes more memory than it counts.
    """
    text = column.cast(pl.String).fill_null("").str.head(_MAX_RAW_CHARS).str.replace_all(r"\s+", " ")
    return text.str.strip_chars().str.head(MAX_CHARS).str.strip_chars_end()


def normalize_texts(texts: Sequence[str | None]) -> list[str]:
    """Normalize n strings, in a list or an Arrow array, as `normalize` does a column."""
    return pl.Series(texts, dtype=pl.String).to_frame("text").select(normalize(pl.all()))["text"].to_list()


def normalized_papers(
    texts: Sequence[str | None] | None, titles: Sequence[str | None] | None, abstracts: Sequence[str | None] | None
) -> tuple[list[str], list[str]]:
    """Return normalized titles and abstracts of n papers, given as texts or as titles and abstracts.

    Raises:
        UsageError: Neither or both forms were given, not as many titles as abstracts, or what is no text.
    """
    one_form = (texts is None) != (titles is None) and (titles is None) == (abstracts is None)
    if not one_form or any(isinstance(given, str) for given in (texts, titles, abstracts)):
        raise UsageError("expected texts, or titles and abstracts; give one of the two forms, each a list of strings")
    try:
        if texts is not None:
            lines = [(text or "").strip().partition("\n") for text in texts]
            titles, abstracts = [line for line, _, _ in lines], [rest for _, _, rest in lines]
        first, second = (normalize_texts([] if given is None else given) for given in (titles, abstracts))
    except (AttributeError, TypeError, UnicodeEncodeError) as error:  # as NaN, and half of a character
        raise UsageError(f"expected strings, or None for a missing one, found another value: {error}") from error
    if len(first) != len(second):
        raise UsageError(f"expected as many titles as abstracts, found {len(first)} and {len(second)}")
    return first, second


def content_hash(title: str, abstract: str) -> bytes:
    """Digest a paper's normalized text: 16 bytes of BLAKE2b over title, line feed, abstract.

    Normalized text holds no line feed, so no two papers of different text share the digested bytes.
    """
    return hashlib.blake2b(f"{title}\n{abstract}".encode(), digest_size=16).digest()


def content_hashes(titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.bytes_]:
    """Digest n papers of normalized text by `content_hash`: shape (n,), dtype S16."""
    return np.frombuffer(b"".join(map(content_hash, titles, abstracts)), dtype="S16")


class PaperTokenizer:
    """Turns normalized titles and abstracts into token ids. Safe to share between threads.

    Args:
        tokenizer_json: A Hugging Face fast tokenizer of the BERT family, serialized. Its own template says which token
            starts a sequence ([CLS], <s>) and which one ends it ([SEP], </s>); the latter also stands between two
            fields. The padding and truncation settings that it carries are overruled.
        max_length: Longest sequence to return, special tokens included.
        form: What of a paper is tokenized.

    Attributes:
        separator: The token between two fields and at the end.

    Raises:
        ValueError: `tokenizer_json` is no tokenizer, or its template is not of one token at each end.
    """

    def __init__(self, tokenizer_json: bytes, *, max_length: int, form: TextForm = TextForm.RO32) -> None:
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer_json)
            self._tokenizer.encode(_UNKNOWN)
        except Exception as error:  # tokenizers raises plain Exception for whatever it cannot read
            raise ValueError(f"not a tokenizer: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # a literal "[SEP]" in a paper is text
        template = self._tokenizer.encode("")
        try:
            self._start, self._separator = template.ids
        except ValueError as error:
            found = " ".join(template.tokens) or "none"
            raise ValueError(
                f"expected a tokenizer that adds a token at the start and one at the end, found {found}"
            ) from error
        self.separator: str = template.tokens[-1]
        self._max_length, self._form = max_length, form
        self._no_text = set() if form is TextForm.RO32 else {self._tokenizer.token_to_id(".")}
        if None in self._no_text:  # the form adds a period, which must not count as a paper's text
            raise ValueError(f"the tokenizer has no token for a period, which the text form {form} needs")

    def encode(self, title: str, abstract: str) -> list[int]:
        """Return the token ids of one paper of normalized text, 1 to max_length; none if it has no token of text."""
        fields = self._form.fields([title], [abstract])
        return self._assemble([self._tokenizer.encode(text, add_special_tokens=False).ids for (text,) in fields])

    def encode_batch(self, titles: Sequence[str], abstracts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of n papers, as `encode` gives them, tokenized on all cores."""
        fields = [
            self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            for texts in self._form.fields(titles, abstracts)
        ]
        return [self._assemble([field.ids for field in paper]) for paper in zip(*fields, strict=True)]

    def _assemble(self, fields: Sequence[list[int]]) -> list[int]:
        if all(map(self._no_text.issuperset, fields)):
            return []
        body = [self._start, *fields[0]]
        for field in fields[1:]:
            body += [self._separator, *field]
        return [*body[: self._max_length - 1], self._separator]
