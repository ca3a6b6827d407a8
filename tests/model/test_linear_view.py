"""The linear view: exact, independent of a paper's neighbours, and refused when it is something else."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from ro32.errors import BundleError
from ro32.model.linear_view import LinearModel
from ro32.model.ngrams import HASH_BITS, extract
from ro32.model.text import normalize


@pytest.fixture(scope="module")
def model() -> LinearModel:
    """Random weights: sums of many large numbers of both signs."""
    rng = np.random.default_rng(1)
    weights = rng.integers(-32768, 32768, 2**HASH_BITS).astype(np.int16)
    return LinearModel(weights=weights, scale=0.0001, bias=-3.25)


@pytest.fixture(scope="module")
def texts(papers: pl.DataFrame) -> tuple[list[str], list[str]]:
    frame = papers.select(normalize(pl.col("title", "abstract")))
    return frame["title"].to_list(), frame["abstract"].to_list()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), part_rows=st.integers(1, 299), threads=st.integers(1, 4))
def test_a_score_depends_on_its_paper_alone(
    model: LinearModel, texts: tuple[list[str], list[str]], seed: int, part_rows: int, threads: int
) -> None:
    titles, abstracts = texts
    expected = model.scores(titles, abstracts)
    order = np.random.default_rng(seed).permutation(len(titles))
    parts = [order[at : at + part_rows] for at in range(0, len(order), part_rows)]
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda rows: model.scores([titles[i] for i in rows], [abstracts[i] for i in rows]), parts)
    assert np.concatenate(list(found)).tobytes() == expected[order].tobytes()


def test_scores_are_the_formula(model: LinearModel) -> None:
    (score,) = model.scores(["robots"], [""])
    (features,) = extract(["robots"], [""])
    total = int(model.weights[features.buckets].astype(np.int64).sum())
    assert score == -3.25 + 0.0001 * total / np.sqrt(np.float64(2))


def test_a_paper_without_words_gets_the_bias(model: LinearModel) -> None:
    assert model.scores(["", "?"], ["", ""]).tolist() == [-3.25, -3.25]
    assert model.scores([], []).shape == (0,)


def test_bytes_survive_the_round_trip(model: LinearModel) -> None:
    data = model.to_bytes()
    again = LinearModel.from_bytes(data)
    assert again.to_bytes() == data
    assert (again.weights == model.weights).all()
    assert (again.scale, again.bias) == (model.scale, model.bias)


@pytest.mark.parametrize("data", [b"", b"no tensors", b"\xff" * 64])
def test_what_is_no_linear_view_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="linear view"):
        LinearModel.from_bytes(data)


def test_another_form_is_refused(model: LinearModel) -> None:
    tensors = {name.replace("-1.", "-2."): tensor for name, tensor in load(model.to_bytes()).items()}
    with pytest.raises(BundleError, match="update ro32"):
        LinearModel.from_bytes(save(tensors))
    tensors = load(model.to_bytes())
    tensors["hashed-ngrams-1.scale_bias"] = np.ones((2, 3))
    with pytest.raises(BundleError, match="update ro32"):
        LinearModel.from_bytes(save(tensors))


def test_numbers_that_are_not_finite_are_refused(model: LinearModel) -> None:
    with pytest.raises(BundleError, match="not finite"):
        LinearModel(weights=model.weights, scale=float("nan"), bias=0.0)
    with pytest.raises(BundleError, match="int16 weights"):
        LinearModel(weights=model.weights[:9], scale=1.0, bias=0.0)
