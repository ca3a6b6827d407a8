"""Text cannot become markup."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ro32.evaluation.page.markup import Markup, element, join


class Reader(HTMLParser):
    """Collects what a parser sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a start tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


@given(st.text(), st.text())
def test_any_text_comes_back_as_text(content: str, value: str) -> None:
    reader = Reader()
    reader.feed(element("p", content, title=value))
    reader.close()
    assert reader.tags == [("p", {"title": value})]
    assert reader.text == content


def test_markup_is_left_as_it_is_and_nothing_is_nothing() -> None:
    inner = element("b", "a < b")
    assert element("p", inner, None, "") == "<p><b>a &lt; b</b></p>"
    assert join(inner, "&") == "<b>a &lt; b</b>&amp;"
    assert isinstance(join(), Markup)


def test_markup_in_other_strings_is_text_again() -> None:
    """An f-string of markup is a string like any other: it errs on the safe side."""
    assert element("p", f"{element('b', 'x')}") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"class_": "a", "aria_label": "b"}, '<i class="a" aria-label="b"></i>'),
        ({"hidden": True, "open": False, "title": None}, "<i hidden></i>"),
        ({"x": 1.0, "y": 2.345, "n": 3}, '<i x="1" y="2.35" n="3"></i>'),
        ({"title": '"><script>'}, '<i title="&quot;&gt;&lt;script&gt;"></i>'),
    ],
)
def test_attributes(attributes: dict[str, str | float | bool | None], expected: str) -> None:
    assert element("i", **attributes) == expected


def test_void_elements_have_no_end() -> None:
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
