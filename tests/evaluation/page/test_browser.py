"""The page in a real browser, without a network: it shows itself, moves, and can be read on a phone and in the dark."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

import tests.browser
from ro32.evaluation.page.render import page
from ro32.evaluation.results import Results
from tests.browser import needs_browser
from tests.evaluation.conftest import ATTACKS

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

PHONE, DESKTOP = 360, 1280
"""Widths in CSS pixels: a small phone, a small laptop."""
CONTRAST = 4.5
"""Of text with what is behind it. Source: https://www.w3.org/TR/WCAG22/#contrast-minimum"""

pytestmark = needs_browser


class Browser(tests.browser.Browser):
    """Chromium, for reports."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._files = (folder / f"report-{number}.html" for number in count())

    def open(self, results: Results, *, width: int = DESKTOP, dark: bool = False) -> None:
        """Show a report as a device of this width would."""
        path = next(self._files)  # of a name of its own, so that no page before it is looked at
        path.write_text(page(results), encoding="utf-8")
        self.show(path.as_uri(), width=width, mobile=width == PHONE, dark=dark)

    def text(self, name: str) -> str:
        """Return the text of the element of this id."""
        return str(self.driver.find_element(By.ID, name).text)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.driver.quit()


@pytest.mark.drawn(4)
@pytest.mark.parametrize("which", ["one_model", "two_models", "explained", "hostile"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_it_shows_itself_without_network_complaint_or_sideways_scrolling(
    browser: Browser, which: str, width: int, request: pytest.FixtureRequest
) -> None:
    browser.open(request.getfixturevalue(which), width=width)
    assert browser.complaints() == []
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.run(f"return document.documentElement.scrollWidth <= {width}")
    charts = browser.driver.find_elements(By.TAG_NAME, "svg")
    assert len(charts) >= 6
    sizes = {chart.get_attribute("id"): chart.size for chart in charts if chart.is_displayed()}
    assert not {name: size for name, size in sizes.items() if size["width"] < 200 or size["height"] < 40}


def test_the_slider_moves_the_numbers_and_the_marks(browser: Browser, one_model: Results) -> None:
    browser.open(one_model)
    item = one_model.evaluations[0]
    assert browser.text("at-threshold") == f"{item.scores.threshold:.4f}"
    assert browser.text("at-f1") == f"{item.confusion.f1:.3f}"
    for name in ("f1", "precision", "recall"):
        assert browser.text(f"range-{name}") == f"{item.measures[name].low:.3f} to {item.measures[name].high:.3f}"
    marks = "return ['cx', 'cy'].map((name) => document.querySelector('[data-marker]').getAttribute(name))"
    before = browser.run(marks)
    slider = browser.driver.find_element(By.ID, "threshold")
    slider.send_keys(Keys.ARROW_LEFT * 20)
    at = int(slider.get_property("value") or 0)
    tp, fp, fn, _ = item.points.counts[at].tolist()
    assert item.points.thresholds[at] < item.scores.threshold
    assert browser.text("at-threshold") == f"{item.points.thresholds[at]:.4f}"
    assert browser.text("at-precision") == f"{tp / (tp + fp):.3f}"
    assert browser.text("at-recall") == f"{tp / (tp + fn):.3f}"
    assert f"{fp} are not" in browser.text("in-words")
    assert browser.run(marks) != before
    assert slider.get_attribute("aria-valuetext") == browser.text("at-threshold")


def test_both_ends_of_the_slider_are_reached(browser: Browser, one_model: Results) -> None:
    browser.open(one_model)
    slider = browser.driver.find_element(By.ID, "threshold")
    points = one_model.evaluations[0].points
    for key, at in ((Keys.HOME, 0), (Keys.END, -1)):
        slider.send_keys(key)
        assert float(browser.text("at-threshold")) == pytest.approx(points.thresholds[at], rel=0.01, abs=1e-4)
        assert "NaN" not in browser.text("thresholds")
    assert browser.complaints() == []


def test_presets_jump_to_what_they_promise(browser: Browser, one_model: Results) -> None:
    browser.open(one_model)
    for button in browser.driver.find_elements(By.CSS_SELECTOR, "#presets button"):
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        measure, _, share = button.text.partition(" ")
        if share.endswith("%"):
            assert float(browser.text(f"at-{measure}")) >= int(share[:-1]) / 100 - 0.0005


def test_the_switch_chooses_the_model(browser: Browser, two_models: Results) -> None:
    browser.open(two_models)
    first = browser.text("at-precision")
    browser.driver.find_elements(By.NAME, "model")[1].click()
    stricter = two_models.evaluations[1]
    assert browser.text("at-threshold") == "0.9000"
    assert browser.text("at-precision") == f"{stricter.confusion.precision:.3f}" != first
    shown = [
        part.is_displayed() for part in browser.driver.find_elements(By.CSS_SELECTOR, "#disagreements [data-model]")
    ]
    assert shown == [False, True]


def test_the_filter_finds_papers_among_the_hidden_ones_too(browser: Browser, one_model: Results) -> None:
    browser.open(one_model)
    rows = one_model.evaluations[0].disagreements.candidates[: one_model.examples].tolist()
    wanted = one_model.details[rows[-1]]
    field = browser.driver.find_element(By.CSS_SELECTOR, "#disagreements .filter")
    field.send_keys(wanted.id)
    shown = browser.driver.find_elements(By.CSS_SELECTOR, "#disagreements article:first-of-type .papers > li")
    assert [wanted.id in row.text for row in shown if row.is_displayed()] == [True]
    field.send_keys(" nothing-is-called-so")
    assert not any(row.is_displayed() for row in shown)
    field.clear()
    field.send_keys(" ")
    assert sum(row.is_displayed() for row in shown) == min(10, len(rows))


def test_words_are_shown_inline_and_marked_in_the_text(browser: Browser, explained: Results) -> None:
    browser.open(explained, width=PHONE)
    row = int(explained.evaluations[0].disagreements.candidates[0])
    explanation = explained.explanations[explained.evaluations[0].scores.name, row]
    paper = browser.driver.find_element(By.CSS_SELECTOR, "#disagreements .papers > li")
    shown = [part.text for part in paper.find_elements(By.CSS_SELECTOR, ".words .word") if part.is_displayed()]
    assert [text.split()[0] for text in shown] == [effect.word for effect in explanation.strongest]
    assert shown
    for summary in paper.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    marks = {mark.text.lower() for mark in paper.find_elements(By.TAG_NAME, "mark") if mark.is_displayed()}
    assert marks == {effect.word for effect in explanation.strongest}
    assert f"{explanation.strongest[0].score_without:.4f}" in paper.text
    assert browser.run(f"return document.documentElement.scrollWidth <= {PHONE}")
    assert browser.complaints() == []


def test_hostile_texts_do_nothing_but_stand_there(browser: Browser, hostile: Results) -> None:
    browser.open(hostile)
    assert browser.driver.title == "cs.RO: ro32 evaluation"
    titles = {part.get_attribute("textContent") for part in browser.driver.find_elements(By.CSS_SELECTOR, ".title")}
    assert titles == {" ".join(attack.split()) for attack in ATTACKS}
    assert browser.run("return document.querySelectorAll('script').length") == 2
    assert browser.run("return document.querySelectorAll('img, base, iframe').length") == 0


def test_even_markup_of_a_paper_could_not_run_or_fetch(browser: Browser, one_model: Results, tmp_path: Path) -> None:
    """Were escaping to fail, the page's policy would still forbid scripts and pictures that are not its own."""
    text = page(one_model).replace(
        "<main>", "<main><script>document.title = 'owned'</script><img src='https://example.org/x.png'>"
    )
    (tmp_path / "broken.html").write_text(text, encoding="utf-8")
    browser.driver.get_log("browser")
    browser.driver.get((tmp_path / "broken.html").as_uri())
    assert browser.driver.title == "cs.RO: ro32 evaluation"
    assert sum("Content Security Policy" in message for message in browser.complaints()) == 2


CONTRASTS = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const luminance = (colour) => {
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = numbers(colour).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (part) => {
  for (let at = part; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if ((numbers(colour)[3] ?? 1) > 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
for (const part of document.querySelectorAll("details")) part.open = true;
const found = {};
for (const part of document.querySelectorAll("body *:not(script):not(style):not(title):not(desc)")) {
  const own = Array.from(part.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !part.getClientRects().length) continue;
  const style = getComputedStyle(part);
  const text = luminance(part instanceof SVGElement ? style.fill : style.color), back = luminance(behind(part));
  const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
  const name = `${part.tagName}.${part.getAttribute("class") ?? ""}`;
  found[name] = Math.min(found[name] ?? 21, ratio);
}
return found;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("which", ["two_models", "explained"])
def test_all_text_can_be_read_against_what_is_behind_it(
    browser: Browser, which: str, request: pytest.FixtureRequest, *, dark: bool
) -> None:
    browser.open(request.getfixturevalue(which), dark=dark)
    found = browser.run(CONTRASTS)
    assert isinstance(found, dict)
    assert len(found) > 20
    assert ("MARK.up" in found) is (which == "explained")
    assert {name: ratio for name, ratio in found.items() if ratio < CONTRAST} == {}


def test_light_and_dark_are_two(browser: Browser, one_model: Results) -> None:
    backgrounds = []
    for dark in (False, True):
        browser.open(one_model, dark=dark)
        backgrounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert len(set(backgrounds)) == 2


def test_without_scripts_everything_is_there(browser: Browser, two_models: Results) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(replace(two_models, examples=5))
        models = (By.CSS_SELECTOR, "[data-model]")
        # Without scripts, Chromium's driver does not wait until a page is complete.
        WebDriverWait(browser.driver, 20).until(lambda driver: len(driver.find_elements(*models)) > 4)
        assert all(part.is_displayed() for part in browser.driver.find_elements(*models))
        assert not browser.driver.find_element(By.CSS_SELECTOR, ".chooser").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
