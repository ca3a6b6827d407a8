"""Which words moved a paper's score, shown in its text and beside it."""

import math

from ro32.evaluation.explain import WORD, Explanation, WordEffect
from ro32.evaluation.page.markup import Markup, element, join
from ro32.evaluation.page.parts import MINUS, table


def marked(text: str, explanation: Explanation | None) -> Markup:
    """Mark in a text the words that moved the score most; all of it is plain where there is no explanation."""
    sides = {} if explanation is None else {effect.word: _side(effect) for effect in explanation.strongest}
    parts: list[str] = []
    at = 0
    for match in WORD.finditer(text):
        if match[0].lower() in sides:
            parts += [text[at : match.start()], element("mark", match[0], class_=sides[match[0].lower()])]
            at = match.end()
    return join(*parts, text[at:])


def strongest_words(explanation: Explanation) -> Markup:
    """Say in a line which words moved the score most, and by how much."""
    words = (
        join(" ", element("span", effect.word, " ", element("b", _moved(effect)), class_=f"word {_side(effect)}"))
        for effect in explanation.strongest
    )
    return element("p", *words if explanation.strongest else ("No word alone moved the score.",), class_="words")


def effects(explanation: Explanation) -> Markup:
    """Lay out the words that moved the score most: what it would be without each."""
    header = ("word", "times", "log-odds", "score without it")
    caption = f"Scored in full: {explanation.score:.4f}"
    rows = [
        (
            effect.word,
            f"{effect.places:,}",
            _moved(effect),
            "none" if math.isnan(effect.score_without) else f"{effect.score_without:.4f}",
        )
        for effect in explanation.strongest
    ]
    return table(caption, header, rows, class_="narrow")


def _moved(effect: WordEffect) -> str:
    """Write by how much a word moved the log-odds."""
    return "needed" if math.isnan(effect.log_odds) else f"{effect.log_odds:+.2f}".replace("-", MINUS)


def _side(effect: WordEffect) -> str:
    """Tell whether a word raised the score or lowered it; one that is all there is to score raised it."""
    return "down" if effect.log_odds < 0 else "up"
