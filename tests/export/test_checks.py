"""The bounds themselves, on numbers that are known; and which papers are chosen to apply them to."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.papers import LabelledPapers, pick_hard, pick_random, read_papers
from export.verify import (
    FP32_ATOL,
    MAX_F1_LOSS,
    Mismatch,
    MismatchError,
    check_agreement,
    check_direction,
    check_labels,
    check_logits,
)

LOGITS = np.array([[1.0, -1.0], [0.5, 2.0], [-3.0, 3.0]], dtype=np.float32)


def kind_of(error: pytest.ExceptionInfo[MismatchError]) -> Mismatch:
    return error.value.kind


@pytest.fixture(scope="module")
def papers(papers_path: Path) -> LabelledPapers:
    """The sample."""
    return read_papers(papers_path, "cs.RO")


def test_equal_logits_pass_and_their_difference_is_reported() -> None:
    shifted = LOGITS.copy()
    shifted[1, 0] += FP32_ATOL / 2
    assert check_logits(LOGITS, shifted) == pytest.approx(FP32_ATOL / 2, rel=1e-2)


def test_logits_of_another_shape() -> None:
    with pytest.raises(MismatchError, match=r"\(3, 2\), found \(3, 1\)") as error:
        check_logits(LOGITS, LOGITS[:, :1])
    assert kind_of(error) is Mismatch.SHAPE


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite(bad: float) -> None:
    broken = LOGITS.copy()
    broken[2, 1] = bad
    for pair in ((LOGITS, broken), (broken, LOGITS), (broken, broken)):
        with pytest.raises(MismatchError, match="1 papers") as error:
            check_logits(*pair)
        assert kind_of(error) is Mismatch.NOT_FINITE


def test_logits_out_of_tolerance_name_the_paper() -> None:
    shifted = LOGITS.copy()
    shifted[1, 0] += 2 * FP32_ATOL
    with pytest.raises(MismatchError, match="paper 1 of 3, 1 out of bounds") as error:
        check_logits(LOGITS, shifted)
    assert kind_of(error) is Mismatch.TOLERANCE


def test_label_names_in_another_order() -> None:
    check_labels(["a", "b"], ("a", "b"))
    with pytest.raises(MismatchError) as error:
        check_labels(["a", "b"], ["b", "a"])
    assert kind_of(error) is Mismatch.LABELS


def test_a_label_whose_papers_score_lower_than_others() -> None:
    positive = np.array([True, True, False, False, False])
    scores = np.array([0.9, 0.4, 0.5, 0.1, 0.2], dtype=np.float32)
    check_direction(positive, scores, "cs.RO")
    with pytest.raises(MismatchError, match=r"cs\.RO") as error:
        check_direction(positive, 1 - scores, "cs.RO")
    assert kind_of(error) is Mismatch.LABELS


def agreement_case() -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return 100 papers, every fourth positive, ranked perfectly around a threshold of 0.5."""
    positive = np.arange(100) % 4 == 0
    return positive, np.where(positive, 0.9, 0.1).astype(np.float32)


def test_scores_that_agree() -> None:
    positive, scores = agreement_case()
    moved = scores + np.float32(0.05)
    found = check_agreement(positive, scores, moved, 0.5)
    assert (found.papers, found.flips, found.flip_share, found.ap_loss, found.f1_loss) == (100, 0, 0, 0, 0)
    assert found.max_score_difference == pytest.approx(0.05, abs=1e-6)


def test_too_many_flips() -> None:
    positive, scores = agreement_case()
    flipped = scores.copy()
    flipped[[1, 2, 3]] = 0.6
    with pytest.raises(MismatchError, match=r"3 of 100 papers") as error:
        check_agreement(positive, scores, flipped, 0.5)
    assert kind_of(error) is Mismatch.FLIPS


def test_a_worse_f1_with_few_flips() -> None:
    positive, scores = agreement_case()
    flipped = scores.copy()
    flipped[0] = 0.2  # still ranked above every other paper
    with pytest.raises(MismatchError, match=rf"F1 falls by 0\.0204 .* at most {MAX_F1_LOSS}") as error:
        check_agreement(positive, scores, flipped, 0.5)
    assert kind_of(error) is Mismatch.QUALITY


def test_a_better_variant_is_no_fault() -> None:
    positive, scores = agreement_case()
    worse = scores.copy()
    worse[0] = 0.2
    assert check_agreement(positive, worse, scores, 0.5).f1_loss < 0


def test_the_papers_to_verify_on_are_the_same_for_a_seed(papers: LabelledPapers) -> None:
    first, second, other = (pick_hard(papers, 200, seed) for seed in (1, 1, 2))
    assert first.tolist() == second.tolist() != other.tolist()
    assert len(set(first.tolist())) == 200


def test_the_papers_to_verify_on_are_enriched(papers: LabelledPapers) -> None:
    rows = pick_hard(papers, 200, 1)
    lengths = np.array([len(title) + len(text) for title, text in zip(papers.titles, papers.abstracts, strict=True)])
    order = np.argsort(lengths, kind="stable")
    assert papers.positive[rows].sum() >= 50
    assert set(order[:20]) <= set(rows)
    assert set(order[-20:]) <= set(rows)


def test_all_papers_are_taken_where_there_are_no_more(papers: LabelledPapers) -> None:
    assert len(pick_hard(papers, 10_000, 1)) == len(pick_random(papers, 10_000, 1)) == len(papers)


def test_a_random_draw_keeps_the_share_of_positives(papers: LabelledPapers) -> None:
    rows = pick_random(papers, 1000, 1)
    assert len(set(rows.tolist())) == 1000
    assert papers.positive[rows].mean() == pytest.approx(papers.positive.mean(), abs=0.03)
