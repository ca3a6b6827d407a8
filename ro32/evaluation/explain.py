"""Explains a score: what it would be without each of the paper's words.

A word is taken out at every place where it stands, and the paper is scored again, exactly as any paper is. Words that
only count together show little when each is taken out alone.

Source: Zeiler and Fergus, ECCV 2014, section 4, https://arxiv.org/abs/1311.2901, with words for patches.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ro32.data.part_reader import read_parts
from ro32.model.classifier import Classifier
from ro32.model.views import log_odds
from ro32.run.plan import Plan

WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*")  # letters and digits, hyphens and apostrophes within
SHOWN_WORDS = 8  # as many as one reads; JSON has all of them
SHOWN_LOG_ODDS = 0.05  # a word that moves the log-odds by less moves no score by more than 0.0125


@dataclass(frozen=True, kw_only=True)
class WordEffect:
    """What a word, in small letters, did at its places in title and abstract."""

    word: str
    places: int  # how often it stands there
    score_without: float  # the paper's score without it; NaN if nothing is left to score
    log_odds: float  # by how much it raised the log-odds of the positive label; negative if it lowered them


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a paper of normalized text scored as it did."""

    id: str
    title: str
    abstract: str
    score: float  # as `ro32-score` gives it; NaN if there is none
    label: str | None  # likewise; None if there is none
    words: tuple[WordEffect, ...]  # by how much they moved the score, the strongest first

    @property
    def strongest(self) -> tuple[WordEffect, ...]:
        """The words that are worth showing: those without which the score is another, or is none."""
        return tuple(effect for effect in self.words if not abs(effect.log_odds) < SHOWN_LOG_ODDS)[:SHOWN_WORDS]


def explain(classifier: Classifier, title: str, abstract: str, *, threads: int | None = None) -> tuple[WordEffect, ...]:
    """Score a paper of normalized text without each of its words, and return these, the strongest first."""
    places = Counter(match[0].lower() for match in WORD.finditer(f"{title}\n{abstract}"))
    titles, abstracts = ([text, *(_without(word, text) for word in places)] for text in (title, abstract))
    probabilities = classifier.predict_proba(titles=titles, abstracts=abstracts, threads=threads)
    scores = probabilities[:, classifier.manifest.positive_index]
    odds = log_odds(scores)
    effects = [
        WordEffect(word=word, places=count, score_without=float(scores[row]), log_odds=float(odds[0] - odds[row]))
        for row, (word, count) in enumerate(places.items(), 1)
    ]
    return tuple(sorted(effects, key=lambda effect: 0.0 if math.isnan(effect.log_odds) else -abs(effect.log_odds)))


def explain_papers(classifier: Classifier, plan: Plan, papers: int, *, threads: int) -> list[Explanation]:
    """Explain the first papers of an input; every paper is scored as often as it has words.

    Raises:
        InputDataError: The input is damaged.
        ReadWriteError: The disk failed.
        TryAgainError: The input changed since it was planned.
    """
    rows = (
        (str(paper_id), "" if error else title, "" if error else abstract)  # what cannot be read has no score
        for _, part in read_parts(plan.parts, plan.columns, plan.id_type)
        for paper_id, title, abstract, error in zip(
            part.ids.to_pylist(), part.titles, part.abstracts, part.errors, strict=True
        )
    )
    with plan.changes_reported():
        found = [explain_paper(classifier, *row, threads=threads) for row in islice(rows, papers)]
    plan.check_unchanged()
    return found


def explain_paper(classifier: Classifier, paper_id: str, title: str, abstract: str, *, threads: int) -> Explanation:
    """Explain one paper of normalized text."""
    given: dict[str, Sequence[str]] = {"titles": [title], "abstracts": [abstract]}
    score = classifier.predict_proba(**given, threads=1)[0, classifier.manifest.positive_index]
    return Explanation(
        id=paper_id,
        title=title,
        abstract=abstract,
        score=float(score),
        label=classifier.predict(**given, threads=1)[0],
        words=explain(classifier, title, abstract, threads=threads) if np.isfinite(score) else (),
    )


def _without(word: str, text: str) -> str:
    """Take a word out of a text wherever it stands."""
    return WORD.sub(lambda match: "" if match[0].lower() == word else match[0], text)
