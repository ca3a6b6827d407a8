"""How many tokens an encoder of transformers reads. Scoring never imports this, as it needs PyTorch."""

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, PretrainedConfig

from ro32.errors import one_line


def longest_input(config: PretrainedConfig, tokenizer_json: bytes) -> int | None:
    """Return the most tokens that a model of this configuration reads; None if it reads any number.

    RoBERTa, MPNet and their like count positions from padding_idx + 1 on, so their tables have rows that no token uses.

    Raises:
        ValueError: The configuration is of no model, or its model does not know all tokens of the tokenizer.
    """
    try:
        with torch.device("meta"):  # shapes without weights, in a tenth of a second
            model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
        words = getattr(model.get_input_embeddings(), "weight", None)
    except Exception as error:  # whatever a wrong type or size makes PyTorch raise
        raise ValueError(f"no model can be made of its config.json: {one_line(error)}") from error
    last = max(Tokenizer.from_buffer(tokenizer_json).get_vocab(with_added_tokens=False).values(), default=0)
    if words is not None and last >= len(words):
        raise ValueError(f"its tokenizer has tokens up to id {last}, but its model knows {len(words)}; get both again")
    tables = (module for name, module in model.named_modules() if name.endswith("embeddings.position_embeddings"))
    unused = [padding + 1 for table in tables if (padding := getattr(table, "padding_idx", None)) is not None]
    positions: int | None = getattr(config, "max_position_embeddings", None)
    return None if positions is None else positions - max(unused, default=0)
