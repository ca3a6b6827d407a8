"""How many papers change their label is found without scoring them all by the slow model."""

from pathlib import Path

import numpy as np
import pytest

from export import flips
from export.build import Report
from export.flips import check_flips, reach
from export.measure import score_all
from export.papers import LabelledPapers, read_papers
from export.verify import Mismatch, MismatchError
from ro32.model.classifier import Classifier


@pytest.fixture(scope="module")
def papers(papers_path: Path) -> LabelledPapers:
    """200 papers of the sample."""
    return read_papers(papers_path, "cs.RO").take(np.arange(200))


@pytest.fixture(scope="module")
def scores(classifier: Classifier, papers: LabelledPapers) -> np.ndarray:
    """Their scores by the tiny bundle, which is taken for the fp32 model here."""
    return score_all(classifier, papers, threads=1, on_progress=lambda _: None)


def test_only_papers_near_the_threshold_are_scored_anew(
    classifier: Classifier, papers: LabelledPapers, scores: np.ndarray
) -> None:
    threshold = float(np.median(scores))
    found = check_flips(classifier, papers, scores, threshold, within=0.001, threads=1)
    assert (found.papers, found.flips) == (200, 0)
    assert 0 < found.compared < 50


def test_flips_are_counted_and_refused(
    classifier: Classifier, papers: LabelledPapers, scores: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = scores.copy()
    changed = np.argsort(np.abs(scores - np.median(scores)))[:4]
    threshold = float(np.median(scores))
    moved[changed] = np.where(scores[changed] >= threshold, threshold - 1e-3, threshold + 1e-3)
    within = reach(scores, moved)
    with pytest.raises(MismatchError, match="4 of 200 papers of a dump") as caught:
        check_flips(classifier, papers, moved, threshold, within=within, threads=1)
    assert caught.value.kind is Mismatch.FLIPS
    monkeypatch.setattr(flips, "MAX_SHARE", 0.02)
    found = check_flips(classifier, papers, moved, threshold, within=within, threads=1)
    assert found.flips == 4


def test_a_few_flips_say_nothing(classifier: Classifier, papers: LabelledPapers, scores: np.ndarray) -> None:
    moved = scores.copy()
    threshold = float(np.sort(scores)[-2:].mean())
    moved[np.argmax(scores)] = threshold - 1e-3
    found = check_flips(classifier, papers, moved, threshold, within=reach(scores, moved), threads=1)
    assert found.flips == 1 > flips.MAX_SHARE * found.papers


def test_papers_without_a_score_do_not_count(
    classifier: Classifier, papers: LabelledPapers, scores: np.ndarray
) -> None:
    unscored = scores.copy()
    unscored[:5] = np.nan
    found = check_flips(classifier, papers, unscored, float(np.median(scores)), within=0.05, threads=1)
    assert found.papers == 195


def test_a_paper_can_move_further_than_any_that_was_verified() -> None:
    reference, candidate = np.array([0.5, 0.2], dtype=np.float32), np.array([0.5, 0.3], dtype=np.float32)
    moved = np.log(0.3 / 0.7) - np.log(0.2 / 0.8)
    assert reach(reference, candidate) == pytest.approx(2 * moved, abs=1e-6)


def test_the_export_records_them(exported: tuple[Path, Report]) -> None:
    report = exported[1]
    assert report.flips.papers == report.quality.papers
    recorded = report.bundle.manifest.quality["int8_against_fp32"]["flips_of_all"]
    assert recorded["flips"] == report.flips.flips <= flips.MAX_SHARE * recorded["papers"]
