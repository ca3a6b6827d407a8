"""From papers' texts to hashed word n-grams, in numpy alone: the features of the linear view.

A word is a run of two or more ASCII letters, digits and bytes beyond ASCII; letters count as small. A paper's features
are the distinct words and pairs of neighbouring words of its title and abstract, and those of its title once more as
features of their own. A feature is named by `HASH_BITS` bits of its hash: no vocabulary has to be kept or searched.

Everything is integer arithmetic modulo 2**64 and a sort of integers, so a paper's features depend on that paper alone
and are the same on every machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ro32.model.text_form import MAX_CHARS

HASH_BITS = 22
"""Features share 4,194,304 buckets: a table of 16-bit weights then takes 8 MB (docs/decisions.md)."""
_CHUNK_PAPERS = 256
"""Papers hashed together: their arrays fit a second-level cache, and a call's overhead no longer shows. With
`HASH_BITS` it must fit 32 bits."""
_CHUNK_BYTES = 2 * 4 * MAX_CHARS + 2
"""Longest text hashed at once: one paper of the longest title and abstract, every character four bytes of UTF-8."""

_END_OF_FIELD = b"\xff"
"""A byte that no UTF-8 holds."""
_BASE = 0x9E3779B97F4A7C15
"""Of the polynomial that hashes a word: odd, so that it has an inverse modulo 2**64. 2**64 divided by the golden
ratio, as in Knuth, TAOCP 6.4."""
# Odd constants with well-mixed bits, from SplitMix64 (Steele et al., OOPSLA 2014) and wyhash (Wang Yi, 2019).
_MIX, _SPREAD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_FIRST_OF_PAIR = np.uint64(0xD6E8FEB86659FD93)
_IN_TITLE, _PAIR_IN_TITLE = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)


def _letters() -> NDArray[np.uint8]:
    """Map each byte to the byte it counts as, and what is no part of a word to 0."""
    table = np.zeros(256, dtype=np.uint8)
    for byte in b"abcdefghijklmnopqrstuvwxyz0123456789":
        table[byte] = table[ord(chr(byte).upper())] = byte
    table[128:255] = np.arange(128, 255)
    return table


def _powers(base: int) -> NDArray[np.uint64]:
    table = np.full(_CHUNK_BYTES, base % 2**64, dtype=np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table)


_LETTERS = _letters()
_POWERS, _INVERSE_POWERS = _powers(_BASE), _powers(pow(_BASE, -1, 2**64))


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features of n papers: paper i has the distinct `buckets[starts[i]:starts[i + 1]]`, rising.

    The buckets are uint32, and the starts int64 of shape (n + 1,).
    """

    buckets: NDArray[np.uint32]
    starts: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Distinct features of each paper, shape (n,)."""
        return np.diff(self.starts)


def extract(titles: Sequence[str], abstracts: Sequence[str]) -> Iterator[Features]:
    """Yield the features of n papers of normalized text, in order, some hundred papers at a time.

    Of a title or an abstract the first `MAX_CHARS` characters count, as for the encoder.
    """
    for first in range(0, len(titles), _CHUNK_PAPERS):
        papers = slice(first, first + _CHUNK_PAPERS)
        yield from _split_until_it_fits(titles[papers], abstracts[papers])


def _split_until_it_fits(titles: Sequence[str], abstracts: Sequence[str]) -> Iterator[Features]:
    fields = chain.from_iterable(zip(titles, abstracts, strict=True))
    text = b"".join(field[:MAX_CHARS].encode() + _END_OF_FIELD for field in fields)
    if len(text) <= _CHUNK_BYTES:
        yield _hash(np.frombuffer(text, dtype=np.uint8), len(titles))
    else:
        half = len(titles) // 2
        yield from _split_until_it_fits(titles[:half], abstracts[:half])
        yield from _split_until_it_fits(titles[half:], abstracts[half:])


def _hash(text: NDArray[np.uint8], papers: int) -> Features:
    """Return the features of papers whose titles and abstracts, in turn, end with `_END_OF_FIELD` each."""
    words, field = _words(text)
    paper = (field >> 1).astype(np.uint32) << np.uint32(HASH_BITS)
    neighbours = field[1:] == field[:-1]
    pairs, paper_of_pair = (words[:-1] * _FIRST_OF_PAIR + words[1:])[neighbours], paper[1:][neighbours]
    titles, pairs_in_titles = field % 2 == 0, (field % 2 == 0)[1:][neighbours]
    keys = np.concatenate(
        [
            paper | _bucket(words),
            paper_of_pair | _bucket(pairs),
            paper[titles] | _bucket(words[titles] ^ _IN_TITLE),
            paper_of_pair[pairs_in_titles] | _bucket(pairs[pairs_in_titles] ^ _PAIR_IN_TITLE),
        ]
    )
    keys.sort()
    keys = keys[np.diff(keys, prepend=~keys[:1]) != 0]
    counts = np.bincount(keys >> np.uint32(HASH_BITS), minlength=papers)
    return Features(buckets=keys & np.uint32(2**HASH_BITS - 1), starts=np.append(0, np.cumsum(counts)))


def _words(text: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return each word's hash, and in which of the fields it stands, counted from 0.

    A word's hash is the polynomial of its bytes, found for all words at once as differences of one running sum.
    """
    letters = _LETTERS[text]
    inside = np.zeros(len(letters) + 2, dtype=np.int8)
    inside[1:-1] = letters != 0
    edges = np.diff(inside)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = ends - starts > 1
    starts, ends = starts[long], ends[long]
    sums = np.zeros(len(letters) + 1, dtype=np.uint64)
    np.cumsum(letters * _POWERS[: len(letters)], out=sums[1:])
    hashes = (sums[ends] - sums[starts]) * _INVERSE_POWERS[starts]
    return hashes ^ (hashes >> np.uint64(32)), np.searchsorted(np.flatnonzero(text == _END_OF_FIELD[0]), starts)


def _bucket(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    mixed = hashes * _MIX
    return (((mixed ^ (mixed >> np.uint64(32))) * _SPREAD) >> np.uint64(64 - HASH_BITS)).astype(np.uint32)
