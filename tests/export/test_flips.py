"""How many papers change their label is found without scoring them all by the slow model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from export import verify
from export.build import Report
from export.measure import score_all
from export.papers import LabelledPapers, read_papers
from export.verify import MAX_DUMP_FLIP_SHARE, Mismatch, MismatchError, check_flips, reach
from ro32.model.classifier import Classifier

Score = Callable[[LabelledPapers], np.ndarray]


@pytest.fixture(scope="module")
def papers(papers_path: Path) -> LabelledPapers:
    """200 papers of the sample."""
    return read_papers(papers_path, "cs.RO").take(np.arange(200))


@pytest.fixture(scope="module")
def by_fp32(classifier: Classifier) -> Score:
    """Scores by the tiny bundle, which is taken for the fp32 model here."""
    return partial(score_all, classifier, threads=1, on_progress=lambda _: None)


@pytest.fixture(scope="module")
def scores(by_fp32: Score, papers: LabelledPapers) -> np.ndarray:
    """Those of these papers."""
    return by_fp32(papers)


def test_only_papers_near_the_threshold_are_scored_anew(
    by_fp32: Score, papers: LabelledPapers, scores: np.ndarray
) -> None:
    threshold = float(np.median(scores))
    found = check_flips(by_fp32, papers, scores, threshold, within=0.001)
    assert (found.papers, found.flips) == (200, 0)
    assert 0 < found.compared < 50


def test_flips_are_counted_and_refused(
    by_fp32: Score, papers: LabelledPapers, scores: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = scores.copy()
    changed = np.argsort(np.abs(scores - np.median(scores)))[:4]
    threshold = float(np.median(scores))
    moved[changed] = np.where(scores[changed] >= threshold, threshold - 1e-3, threshold + 1e-3)
    within = reach(scores, moved)
    with pytest.raises(MismatchError, match=r"4 of 200 papers of a dump .* --variant fp32") as caught:
        check_flips(by_fp32, papers, moved, threshold, within=within)
    assert caught.value.kind is Mismatch.FLIPS
    monkeypatch.setattr(verify, "MAX_DUMP_FLIP_SHARE", 0.02)
    found = check_flips(by_fp32, papers, moved, threshold, within=within)
    assert found.flips == 4


def test_a_few_flips_say_nothing(by_fp32: Score, papers: LabelledPapers, scores: np.ndarray) -> None:
    moved = scores.copy()
    threshold = float(np.sort(scores)[-2:].mean())
    moved[np.argmax(scores)] = threshold - 1e-3
    found = check_flips(by_fp32, papers, moved, threshold, within=reach(scores, moved))
    assert found.flips == 1 > MAX_DUMP_FLIP_SHARE * found.papers


def test_papers_without_a_score_do_not_count(by_fp32: Score, papers: LabelledPapers, scores: np.ndarray) -> None:
    unscored = scores.copy()
    unscored[:5] = np.nan
    found = check_flips(by_fp32, papers, unscored, float(np.median(scores)), within=0.05)
    assert found.papers == 195


def test_a_paper_can_move_further_than_any_that_was_verified() -> None:
    reference, candidate = np.array([0.5, 0.2], dtype=np.float32), np.array([0.5, 0.3], dtype=np.float32)
    moved = np.log(0.3 / 0.7) - np.log(0.2 / 0.8)
    assert reach(reference, candidate) == pytest.approx(2 * moved, abs=1e-6)


def test_the_export_records_them(exported: tuple[Path, Report]) -> None:
    report = exported[1]
    assert report.flips.papers == report.quality.papers
    recorded = report.bundle.manifest.quality["int8_against_fp32"]["flips_of_all"]
    assert recorded["flips"] == report.flips.flips <= MAX_DUMP_FLIP_SHARE * recorded["papers"]
