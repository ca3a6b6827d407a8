"""The operating point: the threshold that was asked for, and no label where a person is to decide."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ro32.data.labels import read_provenance
from ro32.errors import BundleError, UsageError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.operating_point import OperatingPoint
from tests.command_line import Run

CURVES = b"""view,threshold,precision,recall
combined,0.9,1,0.2
combined,0.8,0.9,0.5
combined,0.5,0.95,0.7
combined,0.3,0.8,0.9
combined,0.1,0.5,0.9
encoder,0.05,1,1
"""


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return Bundle.shipped()


@pytest.fixture(scope="module")
def bundle(shipped: Bundle) -> Bundle:
    """The shipped bundle with a curve that one can follow by hand."""
    return replace(shipped, curves=CURVES)


@pytest.mark.parametrize(
    ("asked", "threshold"),
    [
        ({"target_precision": 0.9}, 0.5),  # not 0.8, which finds less
        ({"target_precision": 0.96}, 0.9),
        ({"target_precision": 0.8}, 0.3),
        ({"target_recall": 0.9}, 0.3),  # not 0.1, which is right less often
        ({"target_recall": 0.6}, 0.5),
        ({"target_recall": 0.1}, 0.9),
        ({"threshold": 0.42}, 0.42),
    ],
)
def test_a_target_is_reached_at_the_least_cost(bundle: Bundle, asked: dict[str, Any], threshold: float) -> None:
    decision = OperatingPoint(**asked).resolve(bundle, bundle.manifest)
    assert (decision.threshold, decision.chosen_by, decision.target) == (threshold, *asked, *asked.values())


def test_the_shipped_curve_keeps_what_it_promises(shipped: Bundle) -> None:
    """By the rows of its view, read here in another way."""
    assert shipped.curves is not None
    rows = pl.read_csv(io.BytesIO(shipped.curves)).filter(pl.col("view") == shipped.manifest.view)
    for target in (0.5, 0.9, 0.95):
        found = OperatingPoint(target_precision=target).resolve(shipped, shipped.manifest).validated
        assert found is not None
        assert found.precision >= target
        assert found.recall == rows.filter(pl.col("precision") >= target)["recall"].max()
        found = OperatingPoint(target_recall=target).resolve(shipped, shipped.manifest).validated
        assert found is not None
        assert found.recall >= target
        assert found.precision == rows.filter(pl.col("recall") >= target)["precision"].max()


def test_without_a_wish_the_bundle_decides(bundle: Bundle) -> None:
    decision = OperatingPoint().resolve(bundle, bundle.manifest)
    assert (decision.threshold, decision.chosen_by) == (bundle.manifest.threshold, "bundle")
    assert not decision.uncertain(np.array([0.0, 0.5, 1.0], dtype=np.float32)).any()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"threshold": 0.0}, "above 0"),
        ({"target_precision": 1.5}, "at most 1"),
        ({"threshold": 0.5, "target_recall": 0.5}, "--threshold and --target-recall"),
        ({"abstain": (0.7, 0.2)}, "LOW < HIGH"),
        ({"abstain": (0.7, 0.9), "threshold": 0.5}, "not in the band"),
        ({"target_recall": 0.99}, "at most 0.9000"),
    ],
)
def test_what_cannot_be_is_refused(bundle: Bundle, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OperatingPoint(**asked).resolve(bundle, bundle.manifest)


@pytest.mark.parametrize("text", ["0.2", "a:b", ":", "0.2-0.7", ""])
def test_what_is_no_band_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"as in 0\.2:0\.7"):
        OperatingPoint.parse_band(text)


@pytest.mark.parametrize(
    "curves", [b"\xff", b"threshold\n0.5\n", b"view,threshold,precision,recall\ncombined,x,1,1\n", b"view\rx", b""]
)
def test_a_curve_that_is_none_is_refused(bundle: Bundle, curves: bytes) -> None:
    with pytest.raises(BundleError, match=r"curves\.csv"):
        OperatingPoint(target_recall=0.5).resolve(replace(bundle, curves=curves), bundle.manifest)


def test_a_band_has_its_lower_end_and_not_its_upper(bundle: Bundle) -> None:
    decision = OperatingPoint(threshold=0.5, abstain=(0.25, 0.75)).resolve(bundle, bundle.manifest)
    scores = np.array([0.0, 0.25, 0.5, 0.75, 1.0, np.nan], dtype=np.float32)
    assert decision.uncertain(scores).tolist() == [False, True, True, False, False, False]
    assert decision.positive(scores).tolist() == [False, False, False, True, True, False]


def test_another_threshold_needs_no_scoring(run: Run, papers: pl.DataFrame, tmp_path: Path) -> None:
    assert run(papers).code == 0
    before = pl.read_parquet(tmp_path / "labels.parquet")
    done = run(None, "--threshold", "0.4")
    after = pl.read_parquet(tmp_path / "labels.parquet")
    report = json.loads((tmp_path / "run.json").read_text())
    assert (report["papers"]["scored"], report["papers"]["reused"]) == (0, len(papers))
    assert after["score"].equals(before["score"])
    assert after["label"].to_list() == ["cs.RO" if score >= 0.4 else "other" for score in after["score"]]
    assert (report["model"]["threshold"], report["model"]["threshold_chosen_by"]) == (0.4, "threshold")
    provenance = read_provenance(tmp_path / "labels.parquet") or {}
    assert provenance["threshold"] == 0.4
    assert provenance["operating_point"] == {
        "chosen_by": "threshold",
        "target": 0.4,
        "validated": None,
        "abstain": None,
    }
    assert "threshold 0.4000" in done.stderr
    assert "moved by" not in done.stderr, "a share that was meant to move is no drift"


def test_papers_in_doubt_have_a_score_and_no_label(run: Run, papers: pl.DataFrame, tmp_path: Path) -> None:
    done = run(papers, "--threshold", "0.5", "--abstain", "0.3:0.6")
    labels = pl.read_parquet(tmp_path / "labels.parquet")
    doubtful = labels.filter(pl.col("score").cast(pl.Float64).is_between(0.3, 0.6, closed="left"))
    assert 0 < len(doubtful) < len(labels)
    assert labels.filter(pl.col("error") == "uncertain").equals(doubtful)
    assert doubtful["label"].null_count() == len(doubtful) == labels["label"].null_count()
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["papers"]["uncertain"] == len(doubtful)
    assert report["papers"]["unscored"] == {}
    assert report["model"]["abstain"] == [0.3, 0.6]
    assert f"{len(doubtful):,} uncertain" in done.stderr
    assert (
        f'ro32_papers_uncertain{{target="{tmp_path / "labels.parquet"}"}} {len(doubtful)}'
        in (tmp_path / "run.prom").read_text()
    )

    assert run(None).code == 0  # and without the band, each gets its label from the score that is there
    again = pl.read_parquet(tmp_path / "labels.parquet")
    assert json.loads((tmp_path / "run.json").read_text())["papers"]["scored"] == 0
    assert again["score"].equals(labels["score"])
    assert again["label"].null_count() == 0


def test_a_bundle_without_a_curve_says_what_to_do(run: Run, papers: pl.DataFrame) -> None:
    done = run(papers, "--target-precision", "0.9")
    assert done.code == 2
    assert "it has no curves.csv" in done.stderr
    assert "--threshold" in done.stderr


def test_the_library_decides_the_same_way(tiny_bundle: Path) -> None:
    classifier = Classifier.load(tiny_bundle, point=OperatingPoint(threshold=0.5, abstain=(0.0, 1.0)))
    assert classifier.predict(["Robots"]) == [None]


def test_the_curves_are_csv(shipped: Bundle) -> None:
    assert shipped.curves is not None
    assert csv.Sniffer().has_header(shipped.curves.decode())
