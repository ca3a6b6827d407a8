"""Both text forms: what is tokenized, against a reference written out in plain Python."""

import unicodedata
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.outcomes import EMPTY_TEXT, REASONS
from ro32.model.text import PaperTokenizer, normalize_texts
from ro32.model.text_form import MAX_CHARS, TextForm, text_form_of

CURRENCY = {*"$¢£¤¥ƒ֏؋৲৳૱௹฿៛ℳ元円圆圓﷼", *map(chr, range(0x20A0, 0x20C1))}
# Signs, digits and periods in numbers, and characters that each step treats apart.
TELLING = st.text("012 9.,+-$€¥_xé½³…\u0301\u20dd\u00a0\u2003aZ(/'ﬁ가")
ANY = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=40)
TEXTS = st.lists(st.tuples(st.one_of(TELLING, ANY), st.one_of(TELLING, ANY)), min_size=1, max_size=5)


def without_math(text: str) -> str:
    """Put a space for each stretch of dollars, text and dollars, from the left."""
    found, at = "", 0
    while at < len(text):
        inside = at + len(text[at:]) - len(text[at:].lstrip("$"))
        closing = text.find("$", inside)
        if inside == at or closing in {-1, inside}:
            found, at = found + text[at], at + 1
            continue
        found, at = found + " ", closing + len(text[closing:]) - len(text[closing:].lstrip("$"))
    return found


def is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def digits(text: str, at: int) -> int:
    """Return the end of the run of decimal digits that begins at a position."""
    while at < len(text) and text[at].isdecimal():
        at += 1
    return at


def ends(text: str, at: int) -> list[int]:
    """Return where a number that begins at a position may end, the preferred first."""
    found = []
    for leading in (3, 2, 1):
        end = at + leading
        if text[at : at + 1] in tuple("123456789") and digits(text, at) >= end:
            groups = []
            while text[end : end + 1] in {" ", "."} and digits(text, end + 1) >= end + 4:
                end += 4
                groups.append(end)
            found += groups[::-1]
    whole = digits(text, at)
    if text[whole : whole + 1] == ".":
        found += range(digits(text, whole + 1), whole + 1, -1)
    return found + list(range(whole, at, -1))


def with_numbers(text: str) -> str:
    found, at = "", 0
    while at < len(text):
        before = text[at - 1] if at else " "
        start = at + (text[at] == "+")
        possible = [] if is_word(before) or before == "." else ends(text, start)
        end = next((end for end in possible if end == len(text) or not is_word(text[end])), None)
        found, at = (found + text[at], at + 1) if end is None else (found + "_NUMBER_", end)
    return found


def original(title: str, abstract: str) -> str:
    """Clean a paper as the module says, one character after the other."""
    text = unicodedata.normalize("NFKC", without_math(f"{title}. {abstract}"))
    text = "".join(" " if unicodedata.category(char)[0] == "P" and char != "." else char for char in text)
    text = "".join("_CUR_" if char in CURRENCY else char for char in text)
    text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(with_numbers(text).split())


@given(TEXTS)
@example([("$", "$$"), ("$a$$b$", "$x"), ("$$", "a$")])
@example([("1 000 000x", "1.000.00"), ("+1+2", "1. 5"), ("12 345.678", "1234 567"), ("1 000\u0663", "0 000")])
def test_original_is_what_the_module_says(papers: list[tuple[str, str]]) -> None:
    titles, abstracts = (normalize_texts([paper[at] for paper in papers]) for at in (0, 1))
    (found,) = TextForm.ORIGINAL.fields(titles, abstracts)
    assert list(found) == [original(*paper) for paper in zip(titles, abstracts, strict=True)]


@given(TEXTS)
def test_ro32_is_title_and_abstract(papers: list[tuple[str, str]]) -> None:
    titles, abstracts = (normalize_texts([paper[at] for paper in papers]) for at in (0, 1))
    assert TextForm.RO32.fields(titles, abstracts) == (titles, abstracts)


@pytest.mark.parametrize(
    ("title", "abstract", "text"),
    [
        ("Gödel's proof", "It costs $5.", "Godel s proof. It costs _CUR_5."),
        ("On $O(n \\log n)$ sorting", "", "On sorting."),
        ("", "An abstract", ". An abstract"),
        ("3.14, 1,000,000 and 2020", "x2 H2O 10% +7", "_NUMBER_ _NUMBER_ and _NUMBER_. x2 H2O _NUMBER_ _NUMBER_"),
        ("A € sign (ﬁne)…", "no. 5 - v1.2", "A _CUR_ sign fine .... no. _NUMBER_ v1.2"),
        ("$10 and $20", "paid", "_NUMBER_. paid"),
        ("[SEP] and [CLS]", "a_b", "SEP and CLS . a b"),
    ],
)
def test_examples_of_the_original_s_text(title: str, abstract: str, text: str) -> None:
    assert TextForm.ORIGINAL.fields([title], [abstract]) == ([text],)


@pytest.mark.parametrize("form", TextForm)
@given(papers=TEXTS)
def test_a_paper_is_tokenized_as_its_text_is(form: TextForm, papers: list[tuple[str, str]]) -> None:
    tokenizer = _tokenizer(form)
    titles, abstracts = (normalize_texts([paper[at] for paper in papers]) for at in (0, 1))
    batch = tokenizer.encode_batch(titles, abstracts)
    assert batch == [tokenizer.encode(*paper) for paper in zip(titles, abstracts, strict=True)]
    sure = form.surely_have_tokens(titles, abstracts)
    assert all(ids for ids, has in zip(batch, sure.tolist(), strict=True) if has)
    assert all(len(ids) <= 16 for ids in batch)


@pytest.mark.parametrize("form", TextForm)
def test_an_abstract_may_be_missing(form: TextForm) -> None:
    tokenizer = _tokenizer(form)
    title, both = tokenizer.encode("deep robots", ""), tokenizer.encode("deep robots", "we show")
    assert len(title) > 3
    assert both[: len(title) - 1] == title[:-1]
    assert tokenizer.encode("", "we show")


@pytest.mark.parametrize("text", ["", "\u200b", "$x$", ".", "(...)", "?"])
def test_a_paper_without_text_of_its_own_has_no_tokens_in_the_original_s_form(text: str) -> None:
    for title, abstract in ((text, ""), ("", text), (text, text)):
        assert _tokenizer(TextForm.ORIGINAL).encode(title, abstract) == []
        assert not TextForm.ORIGINAL.surely_have_tokens([title], [abstract])[0]


def test_long_texts_are_cut() -> None:
    long = "ﷺ" * MAX_CHARS  # eighteen characters each after NFKC
    (found,) = TextForm.ORIGINAL.fields([long + "x"], [long + "y"])
    assert len(found[0]) <= 2 * MAX_CHARS
    assert TextForm.ORIGINAL.fields([long], [long]) == (found,)


def test_a_tokenizer_without_a_period_is_refused_for_the_original_s_form(tiny_bundle: Path) -> None:
    tokenizer = (tiny_bundle / "tokenizer.json").read_bytes().replace(b'".":', b'"<dot>":')
    with pytest.raises(ValueError, match="no token for a period"):
        PaperTokenizer(tokenizer, max_length=16, form=TextForm.ORIGINAL)
    PaperTokenizer(tokenizer, max_length=16)


def test_a_checkpoint_s_form() -> None:
    assert text_form_of({}) is TextForm.RO32
    assert text_form_of({"label_names": {"0": 0, "1": 1}}) is TextForm.ORIGINAL
    assert text_form_of({"label_names": {}, "text_form": "ro32"}) is TextForm.RO32
    assert text_form_of({"text_form": "original"}) is TextForm.ORIGINAL
    for other in ("other", 1, ["original"]):
        with pytest.raises(ValueError, match="expected ro32 or original, found"):
            text_form_of({"text_form": other})


def test_a_bundle_names_its_form_and_older_ones_mean_ro32_s(tiny_bundle: Path) -> None:
    older = Bundle.load(tiny_bundle).manifest
    ours, original_s = (replace(older, text_form=str(form)) for form in TextForm)
    assert older.form is ours.form is TextForm.RO32
    assert original_s.form is TextForm.ORIGINAL
    assert older.scoring_digest == ours.scoring_digest != original_s.scoring_digest
    for manifest in (older, ours, original_s):
        assert type(manifest).from_bytes(manifest.to_bytes()) == manifest
    for other in ("", "words"):
        with pytest.raises(BundleError, match="expected ro32 or original"):
            replace(older, text_form=other)


def test_a_cascade_screens_no_paper_without_text_of_its_own(cascade_bundle: Path) -> None:
    bundle = Bundle.load(cascade_bundle)
    assert bundle.manifest.cascade is not None
    cascade = replace(bundle.manifest.cascade, cut=-2.0, audit_share=0.0)
    for form, errors in (
        (TextForm.RO32, [None, None, EMPTY_TEXT]),
        (TextForm.ORIGINAL, [None, EMPTY_TEXT, EMPTY_TEXT]),
    ):
        manifest = replace(bundle.manifest, cascade=cascade, text_form=str(form))
        found = Classifier(replace(bundle, manifest=manifest)).score(["Black holes", "$black holes$", ""], ["", "", ""])
        assert [REASONS[error] for error in found.outcomes.errors.tolist()] == errors
        assert found.outcomes.screened.tolist() == [error is None for error in errors]


@cache
def _tokenizer(form: TextForm) -> PaperTokenizer:
    bundle = Path(__file__).parents[1] / "data" / "tiny_bundle" / "tokenizer.json"
    return PaperTokenizer(bundle.read_bytes(), max_length=16, form=form)
