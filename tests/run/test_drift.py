"""Drift: a change that both matters and is no accident."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ro32.model.classifier import Classifier
from ro32.run.drift import Drift, Share, fisher_exact
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.walk import score_file


@st.composite
def shares(draw: st.DrawFn) -> Share:
    papers = draw(st.integers(0, 3000))
    return Share(positives=draw(st.integers(0, papers)), papers=papers)


@given(shares(), shares())
def test_p_value_is_that_of_scipy(one: Share, other: Share) -> None:
    table = [[share.positives, share.papers - share.positives] for share in (one, other)]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert fisher_exact(one, other) == pytest.approx(min(1, 2 * min(tails)), rel=1e-6, abs=1e-300)


def test_p_value_of_millions_is_quick() -> None:
    """All positive against half of them: no term of the sum is worth adding."""
    one, other = Share(positives=2_500_000, papers=2_500_000), Share(positives=1_250_000, papers=2_500_000)
    assert fisher_exact(one, other) == 0
    assert fisher_exact(one, one) == 1


@pytest.mark.parametrize(
    ("now", "before", "exceeded"),
    [
        ((30_000, 2_500_000), (32_000, 2_500_000), False),  # certain, but too small to matter
        ((60_000, 2_500_000), (32_000, 2_500_000), True),
        ((12, 300), (4, 300), False),  # large, but may be chance
        ((60, 300), (4, 300), True),
        ((0, 0), (4, 300), False),
        ((4, 300), (0, 0), False),
    ],
)
def test_drift_must_matter_and_be_no_chance(now: tuple[int, int], before: tuple[int, int], *, exceeded: bool) -> None:
    shares = [Share(positives=positives, papers=papers) for positives, papers in (now, before)]
    assert Drift(now=shares[0], before=shares[1], bound=0.005).exceeded is exceeded


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"rows": None},
        {"rows": {"rows": 10}},
        {"rows": {"rows": 10, "positives": 11, "unscored": {}}},
        {"rows": {"rows": 10, "positives": 1, "unscored": {"empty_text": "many"}}},
        {"rows": {"rows": 10, "positives": 9, "unscored": {"empty_text": 2}}},
        {"rows": {"rows": math.inf, "positives": 9, "unscored": {}}},  # as JSON's 1e999 is read
        {"rows": {"rows": 10**400, "positives": 9, "unscored": {}}},
    ],
)
def test_a_footer_that_tells_no_share_is_no_trouble(provenance: dict[str, Any]) -> None:
    assert Share.from_footer(provenance) is None


@pytest.mark.parametrize(("now", "before", "bound"), [(8, 7, 0.1), (3, 1, 0.2), (9, 2, 0.7)])
def test_a_change_up_to_the_bound_is_no_drift(now: int, before: int, bound: float) -> None:
    shares = [Share(positives=1_000 * tenths, papers=10_000) for tenths in (now, before)]
    assert not Drift(now=shares[0], before=shares[1], bound=bound).exceeded
    more = Share(positives=1_000 * now + 1, papers=10_000)
    assert Drift(now=more, before=shares[1], bound=bound).exceeded


def test_unscored_papers_are_in_no_share() -> None:
    footer = {"rows": {"rows": 12, "positives": 1, "unscored": {"empty_text": 1, "non_finite": 1}}}
    assert Share.from_footer(footer) == Share(positives=1, papers=10)


@pytest.fixture
def run(tmp_path: Path, classifier: Classifier) -> Any:
    """Label a frame, and return the journal."""

    def call(frame: pl.DataFrame, **options: Any) -> Journal:
        frame.write_parquet(tmp_path / "papers.parquet")
        journal = Journal()
        score_file(
            [str(tmp_path / "papers.parquet")],
            tmp_path / "labels.parquet",
            classifier=classifier,
            settings=Settings(**options),
            journal=journal,
        )
        return journal

    return call


def by_label(papers: pl.DataFrame, labels: Path, label: str) -> pl.DataFrame:
    return papers.filter(pl.read_parquet(labels)["label"] == label)


@pytest.fixture
def more_robots(run: Any, papers: pl.DataFrame, tmp_path: Path) -> pl.DataFrame:
    """Papers, labelled already, and their positive ones a hundred times; how many those are differs by processor."""
    run(papers)
    return pl.concat([papers, *[by_label(papers, tmp_path / "labels.parquet", "cs.RO")] * 100])


def test_a_run_warns_once_when_the_share_moves(run: Any, papers: pl.DataFrame, more_robots: pl.DataFrame) -> None:
    before, rows = len(papers), len(more_robots)
    positives = (rows - before) // 100
    assert positives > 0
    old, new = positives / before, positives * 101 / rows
    journal = run(more_robots)
    assert [warned.kind for warned in journal.warnings] == ["drift"]
    assert journal.warnings[0].message.startswith(
        f"the share of cs.RO moved by {100 * (new - old):+.2f} points, from {old:.2%} of {before} papers to "
        f"{new:.2%} of {rows}: more than --max-drift 0.005 allows, and the difference is significant (p = "
    )
    assert run(more_robots).warnings == []
    assert f"moved by {100 * (old - new):+.2f} points" in run(papers).warnings[0].message


def test_the_bound_can_be_set(run: Any, more_robots: pl.DataFrame) -> None:
    assert run(more_robots, max_drift=0.9).warnings == []


def test_first_labels_drift_from_nothing(run: Any, papers: pl.DataFrame) -> None:
    assert run(papers).drift is None


def test_named_labels_are_compared_with_where_there_are_none(
    run: Any, more_robots: pl.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "labels.parquet").rename(tmp_path / "old.parquet")
    assert [warned.kind for warned in run(more_robots, reuse=tmp_path / "old.parquet").warnings] == ["drift"]
