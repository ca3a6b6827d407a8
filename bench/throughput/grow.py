"""Makes a BERT of twice the width and depth that computes what the small one does: a large subject in a second.

Training 110 million weights would take hours on the processors that are measured.

Source: Net2Net (Chen et al., ICLR 2016, https://arxiv.org/abs/1511.05641), for BERT's shapes.
"""

from collections.abc import Mapping

import torch
from transformers import BertConfig, BertForSequenceClassification

FACTOR = 2
SPREAD = 0.5  # of the noise that tells the two copies of a weight apart, in standard deviations of the weights
WHISPER = 0.05
"""Of what an inserted layer adds to a hidden state, about, in standard deviations of that: it says little, but its
products are no zeros, which quantizing would get right for free."""

State = Mapping[str, torch.Tensor]


def grow(small: BertForSequenceClassification, *, seed: int) -> BertForSequenceClassification:
    """Return a model of twice the hidden size, feed-forward and layers, as many heads, and nearly the same logits."""
    config: BertConfig = small.config
    large = BertConfig(
        **config.to_dict()
        | {
            "hidden_size": FACTOR * config.hidden_size,
            "intermediate_size": FACTOR * config.intermediate_size,
            "num_hidden_layers": FACTOR * config.num_hidden_layers,
        }
    )
    torch.manual_seed(seed)
    grown = BertForSequenceClassification(large)
    state = _widen(small.state_dict(), config.num_attention_heads)
    grown.load_state_dict(_deepen(state, grown.state_dict(), config.num_hidden_layers))
    grown.eval()
    return grown


def _widen(state: State, heads: int) -> dict[str, torch.Tensor]:
    """Repeat every hidden value; what reads them takes half of each, and noise that cancels out.

    Mean and variance of a hidden state stay what they are, so its norm does.
    """
    wide = {}
    for name, tensor in state.items():
        by_head = ".attention.self." in name
        if "embeddings." in name and tensor.dim() == 2:  # noqa: PLR2004 - a table, (entries, hidden)
            wide[name] = _twice(tensor, dim=1)
        elif name.startswith("classifier."):
            wide[name] = _read_both(tensor, 1) if tensor.dim() == 2 else tensor  # noqa: PLR2004
        elif tensor.dim() == 1:
            wide[name] = _twice(tensor, dim=0, heads=heads if by_head else 1)
        else:
            repeated = _twice(tensor, dim=0, heads=heads if by_head else 1)
            wide[name] = _read_both(repeated, heads if ".attention.output.dense." in name else 1)
        if ".attention.self.query." in name:  # products of twice as many values, divided by the root of their number
            wide[name] = wide[name] / FACTOR**0.5
    return wide


def _twice(tensor: torch.Tensor, *, dim: int, heads: int = 1) -> torch.Tensor:
    """Repeat an axis, each head's range of it by itself."""
    return torch.cat([part for half in tensor.chunk(heads, dim) for part in (half, half)], dim)


def _read_both(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Turn weights of shape (out, in) into (out, 2 in) that read two copies of each input."""
    noise = SPREAD * weight.std() * torch.randn_like(weight)
    return torch.cat(
        [
            part
            for own, apart in zip(weight.chunk(heads, 1), noise.chunk(heads, 1), strict=True)
            for part in (own / FACTOR + apart, own / FACTOR - apart)
        ],
        1,
    )


def _deepen(state: State, fresh: State, layers: int) -> dict[str, torch.Tensor]:
    """Put a layer behind each that hands on what it is given, but for a whisper.

    A layer ends with a norm: normalize, then scale and shift. Scale and shift move into the norm at the end of the new
    layer; what lies between is normalized twice more, which changes nothing.
    """
    deep = {name: tensor for name, tensor in state.items() if ".layer." not in name}
    for layer in range(layers):
        old, first, second = (f"bert.encoder.layer.{index}." for index in (layer, FACTOR * layer, FACTOR * layer + 1))
        for name in (name.removeprefix(old) for name in state if name.startswith(old)):
            deep[first + name], deep[second + name] = state[old + name], fresh[second + name]
            if name.startswith("output.LayerNorm."):
                deep[first + name], deep[second + name] = fresh[second + name], state[old + name]
            if name.endswith("output.dense.weight"):
                inputs = state[old + name].shape[1]
                deep[second + name] = WHISPER * torch.randn_like(state[old + name]) / inputs**0.5
    return deep
