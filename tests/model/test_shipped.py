"""The bundle that comes with the package: all there, small enough, and as good as its card says."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.metrics import average_precision
from ro32.model.text import normalize
from ro32.model.views import ViewName

MAX_BYTES = 26_000_000
"""As installed: what a wheel may cost a host that scores once a night."""


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return Bundle.shipped()


@pytest.fixture(scope="module")
def sample(papers_path: Path) -> pl.DataFrame:
    """Every twentieth paper of the sample, and whether it is listed in cs.RO."""
    return (
        pl.read_parquet(papers_path)
        .gather_every(20)
        .with_columns(
            normalize(pl.col("title", "abstract")), truth=pl.col("categories").str.split(" ").list.contains("cs.RO")
        )
    )


def test_it_is_small_enough() -> None:
    folder = files("ro32") / "shipped"
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) <= MAX_BYTES


def test_it_scores_by_both_views(shipped: Bundle) -> None:
    assert shipped.manifest.view == ViewName.COMBINED
    assert set(shipped.manifest.views) == set(ViewName)
    assert all(weight > 0 for weight in shipped.manifest.views[ViewName.COMBINED].weights[1:])


def test_probabilities_are_calibrated_by_its_own_account(shipped: Bundle) -> None:
    for view in shipped.manifest.quality["views"].values():
        assert view["calibration_error"] <= 0.005


@pytest.mark.parametrize(("view", "at_least"), [(ViewName.COMBINED, 0.96), (ViewName.LINEAR, 0.95)])
def test_it_ranks_the_sample(shipped: Bundle, sample: pl.DataFrame, view: ViewName, at_least: float) -> None:
    manifest = replace(shipped.manifest, view=view, threshold=shipped.manifest.views[view].threshold)
    classifier = Classifier(replace(shipped, manifest=manifest), full=True)
    scores = classifier.predict_proba(titles=sample["title"].to_list(), abstracts=sample["abstract"].to_list())
    positive = scores[:, classifier.manifest.positive_index]
    assert average_precision(sample["truth"].to_numpy(), positive) >= at_least  # 16 % are positive, not 1.4 %
    assert np.isfinite(positive).all()
