"""How views become a probability, and what a bundle with views may say."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import LINEAR, Manifest
from ro32.model.views import View, sigmoid

FINITE = st.floats(-1e300, 1e300)
VIEWS = {
    "combined": View(intercept=-2.0, encoder=0.5, linear=0.25, threshold=0.4),
    "encoder": View(intercept=-1.0, encoder=0.5, linear=0.0, threshold=0.3),
}


@pytest.fixture
def manifest(tiny_bundle: Path) -> Manifest:
    """The tiny bundle's manifest, with two views."""
    plain = Bundle.load(tiny_bundle).manifest
    return replace(plain, views=VIEWS, view="combined", threshold=0.4, files={**plain.files, LINEAR: "0" * 64})


def test_the_probability_is_the_formula() -> None:
    assert VIEWS["combined"].probability(2.0, 4.0) == pytest.approx(0.5, abs=1e-15)
    assert VIEWS["encoder"].probability(4.0, math.nan) == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-15)


@pytest.mark.parametrize("log_odds", [math.nan, math.inf, -math.inf])
def test_a_model_that_is_not_finite_gives_no_probability(log_odds: float) -> None:
    assert math.isnan(VIEWS["encoder"].probability(log_odds, 0.0))


@given(low=FINITE, high=FINITE)
def test_a_higher_score_is_no_lower_probability(low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert 0.0 <= sigmoid(low) <= sigmoid(high) <= 1.0


def test_views_survive_the_round_trip(manifest: Manifest) -> None:
    data = manifest.to_bytes()
    again = Manifest.from_bytes(data)
    assert again.to_bytes() == data
    assert again.views == VIEWS


def test_a_bundle_of_the_encoder_alone_says_nothing_of_views(tiny_bundle: Path) -> None:
    body = json.loads((tiny_bundle / "bundle.json").read_bytes())
    assert "views" not in body


def test_another_view_has_another_scoring_digest(manifest: Manifest) -> None:
    other = replace(manifest, view="encoder", threshold=manifest.views["encoder"].threshold)
    assert other.scoring_digest != manifest.scoring_digest


def test_a_threshold_is_no_part_of_the_scoring_digest(manifest: Manifest) -> None:
    views = {name: replace(view, threshold=0.6) for name, view in VIEWS.items()}
    assert replace(manifest, views=views, threshold=0.6).scoring_digest == manifest.scoring_digest


def test_views_that_make_no_sense_are_refused(manifest: Manifest) -> None:
    with pytest.raises(BundleError, match="not one of the views"):
        replace(manifest, view="linear")
    with pytest.raises(BundleError, match="not that of the view"):
        replace(manifest, threshold=0.5)
    with pytest.raises(BundleError, match=r"has no linear\.safetensors"):
        replace(manifest, files={})
    with pytest.raises(BundleError, match="two labels"):
        replace(manifest, labels=("other", "cs.RO", "cs.CV"))
    with pytest.raises(BundleError, match="finite number"):
        View(intercept=math.nan, encoder=1.0, linear=0.0, threshold=0.5)
    with pytest.raises(BundleError, match="between 0 and 1"):
        View(intercept=0.0, encoder=1.0, linear=0.0, threshold=1.0)
