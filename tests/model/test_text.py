"""From title and abstract to token ids."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ro32.model.text import PaperTokenizer, content_hash, normalize


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle: Path) -> PaperTokenizer:
    return PaperTokenizer((tiny_bundle / "tokenizer.json").read_bytes(), max_length=16)


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"])))))
def test_normalized_text_has_single_spaces_only(texts: list[str | None]) -> None:
    found = pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(normalize(pl.col("text")))["text"]
    for before, after in zip(texts, found.to_list(), strict=True):
        # Python also splits at the information separators U+001C to U+001F, which Unicode does not call white space.
        expected = "".join("-" if char in "\x1c\x1d\x1e\x1f" else char for char in before or "")
        assert after.translate(dict.fromkeys(range(0x1C, 0x20), "-")) == " ".join(expected.split())


def test_hash_knows_where_the_title_ends() -> None:
    assert content_hash("a b", "c") != content_hash("a", "b c")
    assert content_hash("a", "") != content_hash("", "a")
    assert len(content_hash("", "")) == 16


def test_hash_is_the_same_for_ever() -> None:
    assert content_hash("Deep robots", "We show that.").hex() == "950b526d176186b7a729d31edb663dec"


def test_one_sequence_with_a_separator(tokenizer: PaperTokenizer) -> None:
    title, abstract = tokenizer.encode("deep robots", ""), tokenizer.encode("", "we show")
    start, end = title[0], title[-1]
    assert title[-2:] == [end, end]
    assert abstract[:2] == [start, end]
    assert tokenizer.encode("deep robots", "we show") == [*title[:-1], *abstract[2:]]


def test_long_text_is_cut_on_the_right_and_still_ends_in_a_separator(tokenizer: PaperTokenizer) -> None:
    whole = tokenizer.encode("deep robots", "we show that " * 100)
    assert len(whole) == 16
    assert whole[-1] == tokenizer.encode("", "we")[-1]
    assert len(tokenizer.encode("deep robots " * 100, "we show")) == 16


def test_control_tokens_in_a_paper_are_text(tokenizer: PaperTokenizer) -> None:
    start, end = tokenizer.encode("robot", "")[0], tokenizer.encode("robot", "")[-1]
    ids = tokenizer.encode("a [SEP] b", "[CLS] [SEP]")
    assert ids.count(start) == 1
    assert ids.count(end) == 2


@pytest.mark.parametrize("text", ["", "\x00\x01", "\u200b"])
def test_nothing_to_tokenize_gives_nothing(tokenizer: PaperTokenizer, text: str) -> None:
    assert tokenizer.encode(text, text) == []


def test_a_batch_is_tokenized_as_its_papers_are(tokenizer: PaperTokenizer, papers: pl.DataFrame) -> None:
    titles, abstracts = papers["title"].to_list(), papers["abstract"].to_list()
    alone = [tokenizer.encode(title, abstract) for title, abstract in zip(titles, abstracts, strict=True)]
    assert tokenizer.encode_batch(titles, abstracts) == alone


def test_what_is_no_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match="not a tokenizer"):
        PaperTokenizer(b"{}", max_length=16)


def test_a_tokenizer_that_fails_at_what_it_does_not_know_is_refused(tiny_bundle: Path) -> None:
    tokenizer = json.loads((tiny_bundle / "tokenizer.json").read_bytes())
    del tokenizer["model"]["vocab"]["[UNK]"]
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != "[UNK]"]
    with pytest.raises(ValueError, match=r"not a tokenizer: .*\[UNK\]"):
        PaperTokenizer(json.dumps(tokenizer).encode(), max_length=16)


def test_a_tokenizer_that_adds_no_tokens_is_refused(tiny_bundle: Path) -> None:
    tokenizer = json.loads((tiny_bundle / "tokenizer.json").read_bytes()) | {"post_processor": None}
    with pytest.raises(ValueError, match="a token at the start and one at the end, found none"):
        PaperTokenizer(json.dumps(tokenizer).encode(), max_length=16)


def test_the_tokenizer_s_own_template_names_the_tokens_at_both_ends(tiny_bundle: Path) -> None:
    """MPNet keeps BERT's vocabulary with [CLS] and [SEP], but was trained with <s> and </s>."""
    tokenizer = json.loads((tiny_bundle / "tokenizer.json").read_bytes())
    words = list(tokenizer["model"]["vocab"])[-2:]
    ids = [tokenizer["model"]["vocab"][word] for word in words]
    tokenizer["post_processor"] = {
        "type": "RobertaProcessing",
        "cls": [words[0], ids[0]],
        "sep": [words[1], ids[1]],
        "trim_offsets": True,
        "add_prefix_space": False,
    }
    found = PaperTokenizer(json.dumps(tokenizer).encode(), max_length=16)
    plain = PaperTokenizer((tiny_bundle / "tokenizer.json").read_bytes(), max_length=16).encode("a robot", "b c")
    exchanged = dict(zip((2, 3), ids, strict=True))
    assert found.encode("a robot", "b c") == [exchanged.get(token, token) for token in plain]
    assert found.separator == words[1]
