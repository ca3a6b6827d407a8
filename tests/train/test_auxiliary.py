"""The auxiliary task: training learns to name all categories of a paper, and the checkpoint shows nothing of it."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification

from ro32.errors import InputDataError
from ro32.train.choose import choose_auxiliary, choose_training, take
from ro32.train.config import Recipe
from ro32.train.corpus import Corpus, load_corpus
from ro32.train.dump import Dump
from ro32.train.encoder import LABELS, Encoder
from ro32.train.run import run
from ro32.train.watch import Watch
from tests.train.conftest import MakeOptions


@pytest.fixture
def corpus(base: Path, papers_path: Path, tmp_path: Path) -> Corpus:
    tokenizer_json = (base / "tokenizer.json").read_bytes()
    return load_corpus(Dump.open(papers_path), tokenizer_json=tokenizer_json, max_length=64, cache=tmp_path)


def test_checkpoint_has_two_labels_and_the_loss_counts_both_tasks(recipe: Recipe, options: MakeOptions) -> None:
    chosen = options(limit=None)
    both = dataclasses.replace(recipe, epochs=1, auxiliary_weight=0.1, hard_negatives=100, random_negatives=300)
    run(chosen, both, Watch(quiet=True))
    model = AutoModelForSequenceClassification.from_pretrained(chosen.output)
    assert model.config.id2label == {0: "other", 1: "cs.RO"}
    assert {len(weights) for name, weights in model.named_parameters() if name.startswith("classifier")} == {LABELS}
    record = json.loads((chosen.output / "training.json").read_text())
    assert record["auxiliary"]
    assert "cs.RO" not in record["auxiliary"]
    # Validation measures the two labels alone.
    assert record["results"][0]["training_loss"] > record["results"][0]["loss"]


def test_auxiliary_outputs_start_at_the_categories_log_odds(base: Path, recipe: Recipe) -> None:
    encoder = Encoder(str(base), max_length=64)
    model = encoder.build(recipe, {"cs.AI": 0.25, "cs.CV": 0.1})
    bias = model.state_dict()["classifier.bias"]
    torch.testing.assert_close(bias[LABELS:], torch.logit(torch.tensor([0.25, 0.1])), rtol=0, atol=1e-6)
    published = encoder.build_published(recipe, model.state_dict())
    torch.testing.assert_close(published.state_dict()["classifier.bias"], bias[:LABELS], rtol=0, atol=0)


def test_categories_are_named_exactly(corpus: Corpus) -> None:
    index = np.arange(50)
    listed = corpus.listed(index, ["cs.RO", "cs.AI"])
    np.testing.assert_array_equal(listed[:, 0], corpus.positives("cs.RO")[index])
    np.testing.assert_array_equal(listed[:, 1], corpus.positives("cs.AI")[index])


def test_papers_without_categories_are_no_category(corpus: Corpus, recipe: Recipe) -> None:
    """Those of a file of negatives have none."""
    texts = ["" if row % 3 else text for row, text in enumerate(corpus.categories)]
    few = dataclasses.replace(corpus, categories=pl.Series("categories", texts))
    found = choose_auxiliary(take(few, np.arange(len(few)), "cs.RO"), dataclasses.replace(recipe, auxiliary_weight=0.1))
    assert found
    assert "" not in found


def test_positive_papers_are_repeated(corpus: Corpus, recipe: Recipe) -> None:
    papers = take(corpus, np.arange(len(corpus)), "cs.RO")
    chosen = choose_training(papers, dataclasses.replace(recipe, positive_repeats=3))
    positives = int(papers.positive.sum())
    assert int(chosen.positive.sum()) == 3 * positives
    assert len(chosen) == len(papers) + 2 * positives
    assert choose_auxiliary(chosen, recipe) == {}


def test_a_base_with_a_head_for_other_outputs_gets_a_new_one(recipe: Recipe, options: MakeOptions) -> None:
    run(options(), dataclasses.replace(recipe, epochs=1), Watch(quiet=True))
    encoder = Encoder(str(options().output), max_length=64)
    model = encoder.build(recipe, {"cs.AI": 0.25})
    assert model.state_dict()["classifier.bias"].shape == (3,)
    trained = load_file(options().output / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(model.state_dict()[name].numpy(), trained[name])


def test_a_base_that_is_not_what_its_configuration_says_is_refused(base: Path, recipe: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": config["intermediate_size"] + 1}))
    with pytest.raises(InputDataError, match="of another shape than its configuration says"):
        Encoder(str(folder), max_length=64).build(recipe)
