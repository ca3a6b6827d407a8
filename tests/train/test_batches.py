"""Shapes: how papers become padded arrays, few shapes where every new one costs a compilation."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ro32.train.batches import FIXED_LENGTHS, LENGTH_MULTIPLE, Batch, Shaper, plan_epoch
from ro32.train.choose import PaperSet, take
from ro32.train.corpus import load_corpus
from ro32.train.dump import Dump

MAX_LENGTH = 384


@pytest.fixture(scope="module")
def papers(base: Path, papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperSet:
    cache = tmp_path_factory.mktemp("cache")
    tokenizer_json = (base / "tokenizer.json").read_bytes()
    corpus = load_corpus(Dump.open(papers_path), tokenizer_json=tokenizer_json, max_length=512, cache=cache)
    return take(corpus, np.arange(len(corpus)), "cs.RO")


def shaper(*, fixed: bool, tokens_per_pass: int = 2048, row_multiple: int = 1) -> Shaper:
    return Shaper(
        rows=32,
        max_length=MAX_LENGTH,
        pad=0,
        tokens_per_pass=tokens_per_pass,
        fixed=fixed,
        row_multiple=row_multiple,
    )


def steps(papers: PaperSet, of: Shaper) -> list[list[Batch]]:
    plan = plan_epoch(papers.lengths, batch_size=of.rows, seed=1, epoch=0)
    return [of.batches(papers, at) for at in plan]


@pytest.mark.parametrize("row_multiple", [1, 4])
def test_fixed_shapes_are_few_and_hold_about_as_many_tokens_each(papers: PaperSet, row_multiple: int) -> None:
    of = shaper(fixed=True, row_multiple=row_multiple)
    allowed = set(of.shapes())
    assert len(allowed) <= len(FIXED_LENGTHS)
    found = {batch.input_ids.shape for step in steps(papers, of) for batch in step}
    assert found <= allowed
    for rows, length in allowed:
        assert rows % row_multiple == 0
        assert rows * length <= max(2048, row_multiple * length)
        assert rows == 32 or rows * length > 2048 // 2 or rows == row_multiple


@pytest.mark.parametrize("fixed", [True, False])
def test_batches_may_all_have_the_full_length(papers: PaperSet, *, fixed: bool) -> None:
    of = dataclasses.replace(shaper(fixed=fixed), full_length=True)
    assert of.shapes() == [(2048 // MAX_LENGTH, MAX_LENGTH)]
    lengths = {batch.input_ids.shape[1] for step in steps(papers, of)[:3] for batch in step}
    assert lengths == {MAX_LENGTH}


def test_all_batches_of_a_step_have_one_shape(papers: PaperSet) -> None:
    """A step is one graph, whatever the number of passes in it."""
    for step in steps(papers, shaper(fixed=True)):
        assert len({batch.input_ids.shape for batch in step}) == 1


@pytest.mark.parametrize("fixed", [True, False])
def test_every_paper_counts_once_whatever_fills_the_shapes(papers: PaperSet, fixed: bool) -> None:  # noqa: FBT001
    of = shaper(fixed=fixed)
    whole = steps(papers, of)
    masks = np.concatenate([batch.row_mask for step in whole for batch in step])
    assert masks.sum() == len(papers)
    assert [sum(batch.row_mask.sum() for batch in step) for step in whole].count(of.rows) >= len(whole) - 1
    positive = sum(int(batch.targets[batch.row_mask > 0].sum()) for step in whole for batch in step)
    assert positive == papers.positive.sum()
    if fixed:
        assert len(masks) > len(papers)
    else:
        assert len(masks) == len(papers)


def test_rows_hold_their_papers_tokens_and_every_row_attends_to_something(papers: PaperSet) -> None:
    of = shaper(fixed=True)
    at = plan_epoch(papers.lengths, batch_size=of.rows, seed=1, epoch=0)[0]
    batches = of.batches(papers, at)
    input_ids = np.concatenate([batch.input_ids for batch in batches])
    attention_mask = np.concatenate([batch.attention_mask for batch in batches])
    assert (attention_mask.sum(axis=1) >= 1).all()
    for row, paper in enumerate(at):
        used = min(papers.lengths[paper], MAX_LENGTH)
        assert attention_mask[row].sum() == used
        start = papers.corpus.starts[papers.index[paper]]
        np.testing.assert_array_equal(input_ids[row, : used - 1], papers.corpus.tokens[start : start + used - 1])
        assert input_ids[row, used - 1] == papers.corpus.tokens[start + papers.lengths[paper] - 1]


def test_free_shapes_are_padded_to_a_tile_and_no_more(papers: PaperSet) -> None:
    for step in steps(papers, shaper(fixed=False)):
        longest = max(int(batch.attention_mask.sum(axis=1).max()) for batch in step)
        tiled = min(-(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, MAX_LENGTH)
        assert {batch.input_ids.shape[1] for batch in step} == {tiled}
