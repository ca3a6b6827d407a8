"""Hashed n-grams: what a feature is, and that a paper's features depend on that paper alone."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ro32.model import ngrams
from ro32.model.ngrams import HASH_BITS, extract
from ro32.model.text_form import MAX_CHARS

TEXTS = st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=12)


def buckets(papers: list[tuple[str, str]]) -> list[NDArray[np.uint32]]:
    """Return each paper's buckets."""
    chunks = list(extract([title for title, _ in papers], [abstract for _, abstract in papers]))
    return [paper for chunk in chunks for paper in np.split(chunk.buckets, chunk.starts[1:-1])]


def by_the_book(title: str, abstract: str) -> list[int]:
    """Compute a paper's buckets as the module's docstring says, one word at a time."""

    def word_hash(word: bytes) -> int:
        value = sum(byte * pow(0x9E3779B97F4A7C15, place, 2**64) for place, byte in enumerate(word)) % 2**64
        return value ^ (value >> 32)

    def bucket(value: int) -> int:
        mixed = value * 0xBF58476D1CE4E5B9 % 2**64
        return int((mixed ^ (mixed >> 32)) * 0x94D049BB133111EB % 2**64) >> (64 - HASH_BITS)

    found = set()
    for field, is_title in ((title, True), (abstract, False)):
        lowered = field.encode(errors="replace").lower()  # of bytes: ASCII alone
        hashes = [word_hash(word) for word in re.findall(rb"[a-z0-9\x80-\xff]{2,}", lowered)]
        pairs = [(a * 0xD6E8FEB86659FD93 + b) % 2**64 for a, b in pairwise(hashes)]
        found |= {*hashes, *pairs}
        if is_title:
            found |= {h ^ 0xA0761D6478BD642F for h in hashes} | {p ^ 0xE7037ED1A0B428DB for p in pairs}
    return sorted({bucket(value) for value in found})


@given(papers=TEXTS)
def test_features_are_what_the_docstring_says(papers: list[tuple[str, str]]) -> None:
    papers = [(" ".join(title.split()), " ".join(abstract.split())) for title, abstract in papers]
    assert [found.tolist() for found in buckets(papers)] == [by_the_book(*paper) for paper in papers]


def test_buckets_do_not_change_between_versions_or_machines() -> None:
    (found,) = buckets([("Grasping", "robots")])
    assert found.tolist() == [670954, 2181048, 3670394]  # the shipped weights are for these very buckets


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("A Robot ARM", ""), ("a robot arm", "")),  # capitals
        (("robot-arm", ""), ("robot, arm!", "")),  # what stands between words
        (("robot x arm", ""), ("robot arm", "")),  # single letters
        (("", "the robot the robot"), ("", "the robot the robot the robot")),  # how often
    ],
)
def test_what_makes_no_difference(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = buckets([one, other])
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("robot arm", ""), ("arm robot", "")),  # order
        (("robot", ""), ("", "robot")),  # a title's words count twice
        (("robot", "arm"), ("robot arm", "")),  # no pair spans title and abstract
        (("\u00e9lan", ""), ("\u00c9lan", "")),  # capitals beyond ASCII are letters of their own
    ],
)
def test_what_makes_a_difference(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = buckets([one, other])
    assert first.tolist() != second.tolist()


def test_papers_without_words_have_no_features() -> None:
    assert [found.size for found in buckets([("", ""), ("a b", "."), ("robots", "")])] == [0, 0, 2]
    assert buckets([]) == []


def test_the_longest_texts_are_cut_and_fit_a_chunk() -> None:
    long = "\U0001f916" * MAX_CHARS  # four bytes a character: one word of the greatest length
    found = buckets([(long + "x", long + "y"), (long, long), ("robots", "")])
    assert found[0].tolist() == found[1].tolist()
    assert found[2].tolist() == buckets([("robots", "")])[0].tolist()


@given(papers=TEXTS, chunk=st.integers(1, 5))
def test_chunks_make_no_difference(papers: list[tuple[str, str]], chunk: int) -> None:
    whole = buckets(papers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "_CHUNK_PAPERS", chunk)
        assert [found.tolist() for found in buckets(papers)] == [found.tolist() for found in whole]


def test_a_chunk_fits_its_keys() -> None:
    assert ngrams._CHUNK_PAPERS << HASH_BITS <= 2**32
