"""What a calling thread does: papers that the screen is sure of are scored by it, the others one by one in full."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from ro32.data.papers import Papers
from ro32.model.classifier import Classifier
from ro32.model.outcomes import EMPTY_TEXT, NON_FINITE, REASONS
from ro32.model.screen import Screen


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What one call of `score_rows` found out.

    Attributes:
        results: Of each row its score, its error code, and whether the screen alone scored it.
        tokens: Tokens that the encoder saw.
        audited: Rows below the screen's cut that were scored in full all the same.
        disagreements: Rows among them that have another label than the screen gives.
        seconds: Wall-clock time that it took its thread.
    """

    results: Sequence[tuple[float, int, bool]]
    tokens: int
    audited: int
    disagreements: int
    seconds: float


def score_rows(
    classifier: Classifier, screen: Screen | None, papers: Papers, rows: Sequence[int], stop: threading.Event
) -> Scored:
    """Score some rows of a part, one paper at a time.

    Args:
        classifier: The model.
        screen: Decides which rows need no encoder; none where all are scored in full.
        papers: The part.
        rows: The rows to score.
        stop: When set, the work ends after the current paper; the result is short then and of no use.
    """
    started = time.monotonic()
    results: list[tuple[float, int, bool]] = []
    tokens, disagreements = 0, 0
    titles, abstracts = [papers.titles[row] for row in rows], [papers.abstracts[row] for row in rows]
    linear = classifier.linear_scores(titles, abstracts)
    below, audited = np.zeros((2, len(rows)), dtype=np.bool_)
    if screen is not None:
        below = screen.below(titles, abstracts, linear)
        audited = below & screen.audited(papers.hashes[rows])
    for row, by_words, sure, asked in zip(rows, linear.tolist(), below.tolist(), audited.tolist(), strict=True):
        if stop.is_set():
            break
        if screen is not None and sure and not asked:
            results.append((screen.cascade.probability(by_words), 0, True))
            continue
        input_ids = classifier.encode(papers.titles[row], papers.abstracts[row])
        tokens += len(input_ids)
        score = classifier.score(input_ids, by_words) if input_ids else float("nan")
        error = None if isfinite(score) else NON_FINITE if input_ids else EMPTY_TEXT
        disagreements += asked and score >= classifier.decision.lowest
        results.append((score, REASONS.index(error), False))
    return Scored(
        results=results,
        tokens=tokens,
        audited=int(audited.sum()),
        disagreements=disagreements,
        seconds=time.monotonic() - started,
    )
