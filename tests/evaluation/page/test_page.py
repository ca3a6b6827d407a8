"""The page as a parser sees it: complete, self-contained, and deaf to what papers say."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from ro32.evaluation.explain import Explanation, WordEffect
from ro32.evaluation.page import figures
from ro32.evaluation.page.render import environment, marked, page
from ro32.evaluation.results import Results
from ro32.evaluation.scores import Scores
from ro32.evaluation.slices import Dimension
from tests.evaluation.conftest import ATTACKS, results_of

OWN_TAGS = (
    "html head meta title style body a header p h1 b main section h2 h3 div table caption thead tbody tr th td small "
    "figure svg g line text circle polyline rect desc dl dt dd label input output span ol li bdi details summary "
    "article footer ul script fieldset legend mark"
)
"""All elements that the page is made of."""
VOID = frozenset({"input", "link", "meta"})
"""Those of HTML without an end tag. Source: https://html.spec.whatwg.org/multipage/syntax.html#void-elements"""


class Reader(HTMLParser):
    """Collects tags and attributes, and checks that elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a start tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that the innermost element is what ends."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data

    def attributes(self, name: str) -> list[str]:
        """Return the values of all attributes of this name."""
        return [str(attributes[name]) for _, attributes in self.tags if name in attributes]


@pytest.fixture(params=["one_model", "two_models", "explained", "hostile"])
def text(request: pytest.FixtureRequest) -> str:
    return page(request.getfixturevalue(request.param))


@pytest.mark.drawn(2)
def test_nothing_but_our_own_elements_are_in_it(text: str) -> None:
    reader = Reader(text)
    assert {tag for tag, _ in reader.tags} <= set(OWN_TAGS.split())
    assert [tag for tag, _ in reader.tags].count("script") == 2
    names = {name for _, attributes in reader.tags for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"style", "src", "srcset", "action", "formaction", "xlink:href"}


def test_it_refers_to_nothing_outside_but_papers_on_arxiv(text: str) -> None:
    reader = Reader(text)
    for address in reader.attributes("href"):
        assert re.fullmatch(r"#figures|https://arxiv\.org/abs/[\w.\-/]+", address)
    assert "@import" not in text
    assert "url(" not in text


def test_ids_are_distinct_and_what_refers_to_them_finds_them(text: str) -> None:
    reader = Reader(text)
    ids = reader.attributes("id")
    assert len(ids) == len(set(ids))
    for name in ("for", "aria-labelledby"):
        assert {part for value in reader.attributes(name) for part in value.split()} <= set(ids)


def test_hostile_titles_are_shown_as_they_are(hostile: Results) -> None:
    reader = Reader(page(hostile))
    shown = {paper.title for paper in hostile.details.values()}
    assert shown == {" ".join(attack.split()) for attack in ATTACKS}
    assert not any("arxiv.org" in address for address in reader.attributes("href"))


def test_candidates_are_linked_to_arxiv(one_model: Results) -> None:
    text = page(one_model)
    rows = one_model.evaluations[0].disagreements.candidates[: one_model.examples]
    assert len(rows)
    for row in rows:
        assert f'href="https://arxiv.org/abs/{one_model.details[int(row)].id}"' in text


def test_one_model_has_no_switch_and_no_flips(one_model: Results, two_models: Results) -> None:
    alone, both = Reader(page(one_model)), Reader(page(two_models))
    assert "flips" not in alone.attributes("id")
    assert "data-model" not in {name for _, attributes in alone.tags for name in attributes}
    assert "flips" in both.attributes("id")
    assert both.attributes("data-marker") == ["0", "1"]


def test_words_are_marked_where_a_paper_is_explained_and_nowhere_else(explained: Results, one_model: Results) -> None:
    assert "<mark" not in page(one_model)
    assert "A marked word" not in page(one_model)
    text = page(explained)
    assert text.count('<p class="words">') == len(explained.explanations) == 6
    assert "A marked word" in text
    for explanation in explained.explanations.values():
        assert f"Scored in full: {explanation.score:.4f}" in text


@given(st.text())
def test_any_text_stays_text(content: str) -> None:
    template = environment().from_string('<p title="{{ content }}">{{ content|marked(none) }}{{ content }}</p>')
    reader = Reader(template.render(content=content))
    assert reader.tags == [("p", {"title": content})]
    assert reader.text == content * 2


def test_marks_leave_a_text_as_it_is() -> None:
    effects = [
        WordEffect(word=word, places=1, score_without=0.5, log_odds=moved)
        for word, moved in (("robot", 2.0), ("b", -1.0), ("lt", 0.5), ("arm", 0.01))
    ]
    explanation = Explanation(id="", title="", abstract="", score=0.9, label=None, words=tuple(effects))
    text = "A <b>Robot</b> & a robot's arm; &lt; robot"
    found = str(marked(text, explanation))
    assert unescape(re.sub("</?mark[^>]*>", "", found)) == text
    assert re.findall(r'<mark class="(\w+)">(.*?)</mark>', found) == [
        ("down", "b"),
        ("up", "Robot"),
        ("down", "b"),
        ("up", "lt"),
        ("up", "robot"),
    ]
    assert marked(text, None) == escape(text)


def test_without_examples_papers_are_counted_and_not_listed(one_model: Results) -> None:
    text = page(replace(one_model, details={}, examples=0))
    found = one_model.evaluations[0].disagreements
    assert f"{len(found.candidates):,} papers are called cs.RO" in text
    assert "arxiv.org/abs" not in text


def test_the_last_three_years_are_drawn_by_month(one_model: Results) -> None:
    months = [row.name for row in figures.f1_by(one_model.evaluations, Dimension.MONTH)]
    assert len(months) == 36
    assert months == sorted(months)
    text = page(one_model)
    (chart,) = re.findall(r'<svg[^>]*id="months".*?</svg>', text, re.DOTALL)
    assert chart.count('class="dot"') == 36
    assert f">{months[-1]}</text>" in chart


def test_a_bare_dump_has_a_page_too(tmp_path: Path) -> None:
    """Ids and categories alone: no year, no month, no length, no title, and no paper that is wrong."""
    pl.DataFrame({"id": list("abcd"), "categories": ["cs.RO", "x", "x", "cs.RO"]}).write_parquet(tmp_path / "p.parquet")
    values = np.array([0.9, 0.1, np.nan, 0.8], dtype=np.float32)
    results = results_of([str(tmp_path)], [Scores(name="m", source="m", digest=None, threshold=0.5, values=values)])
    text = page(results)
    Reader(text)
    assert "Papers without a score: 1." in text
    assert text.count("The dump has no data for these groups.") == 3
