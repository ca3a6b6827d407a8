"""The last layer computes the first token alone, and nothing that matters differs."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, DistilBertConfig, PreTrainedModel

from ro32.train.first_token import compute_first_token_only


def make(base: Path) -> PreTrainedModel:
    """Return the tiny classifier with the same weights each time, without dropout."""
    torch.manual_seed(1)
    config = AutoConfig.from_pretrained(base, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=2)
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        base, config=config, attn_implementation="eager"
    )
    return model


@pytest.fixture
def rows() -> dict[str, torch.Tensor]:
    """Three papers of different lengths."""
    attention_mask = torch.ones(3, 40, dtype=torch.int64)
    attention_mask[1, 25:] = attention_mask[2, 1:] = 0
    input_ids = torch.randint(5, 2000, (3, 40), generator=torch.Generator().manual_seed(2)) * attention_mask
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def test_logits_and_gradients_are_those_of_the_whole_layer(base: Path, rows: dict[str, torch.Tensor]) -> None:
    whole, first = make(base), make(base)
    assert compute_first_token_only(first)
    labels = torch.tensor([0, 1, 1])
    logits = []
    for model in (whole, first):
        logits.append(model(**rows).logits)
        nn.functional.cross_entropy(logits[-1], labels).backward()
    torch.testing.assert_close(logits[1], logits[0], rtol=0, atol=1e-6)
    for (name, one), other in zip(whole.named_parameters(), first.parameters(), strict=True):
        # Float32 sums in another order.
        torch.testing.assert_close(other.grad, one.grad, rtol=0, atol=1e-6, msg=name)


def test_last_hidden_state_is_one_token(base: Path, rows: dict[str, torch.Tensor]) -> None:
    """Else nothing would have been saved."""
    model = make(base)
    compute_first_token_only(model)
    assert model.base_model(**rows).last_hidden_state.shape == (3, 1, 48)


def test_other_architectures_are_left_alone() -> None:
    config = DistilBertConfig(vocab_size=50, dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    model = AutoModelForSequenceClassification.from_config(config)
    assert not compute_first_token_only(model)
    assert model.base_model(input_ids=torch.ones(1, 7, dtype=torch.int64)).last_hidden_state.shape == (1, 7, 16)
