"""Runs the same papers through PyTorch and ONNX, one unpadded paper at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from export.papers import LabelledPapers
from export.verify import check_tokenizer
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import Manifest
from ro32.model.classifier import Classifier
from ro32.model.views import sigmoid


@dataclass(frozen=True, kw_only=True)
class Sample:
    """n papers to compare on, each with a token of text; their token ids; how many were cut to the maximum length."""

    papers: LabelledPapers
    token_ids: Sequence[Sequence[int]]
    truncated: int


def tokenize(checkpoint: Checkpoint, papers: LabelledPapers) -> Sample:
    """Tokenize papers as the bundle will, and leave out those without a token; check them by transformers."""
    token_ids = checkpoint.tokenizer.encode_batch(papers.titles, papers.abstracts)
    papers = papers.take(np.array([row for row, ids in enumerate(token_ids) if ids], dtype=np.int64))
    token_ids = [ids for ids in token_ids if ids]
    check_tokenizer(checkpoint, papers, token_ids)
    truncated = sum(len(ids) == checkpoint.max_length for ids in token_ids)
    return Sample(papers=papers, token_ids=token_ids, truncated=truncated)


def pytorch_logits(model: PreTrainedModel, token_ids: Sequence[Sequence[int]], threads: int = 1) -> NDArray[np.float32]:
    """Run the PyTorch model, in evaluation mode, on n papers: the reference of every comparison; shape (n, k), float32.

    Inside a paper PyTorch gets one thread, as onnxruntime does: the threads that it would share one paper's small
    operations among wait for each other actively, and crawl on a busy machine.
    """

    def run(ids: Sequence[int]) -> NDArray[np.float32]:
        input_ids = torch.tensor([list(ids)], dtype=torch.int64)
        with torch.inference_mode():  # holds for the thread that enters it
            logits: torch.Tensor = model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids)).logits
        return logits[0].numpy()

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _run_all(run, token_ids, threads)
    finally:
        torch.set_num_threads(before)


def onnx_logits(classifier: Classifier, token_ids: Sequence[Sequence[int]], threads: int = 1) -> NDArray[np.float32]:
    """Run a bundle's model; shape (n, k), float32."""
    return _run_all(classifier.logits, token_ids, threads)


def scores_of(logits: NDArray[np.float32], positive_index: int) -> NDArray[np.float32]:
    """Turn logits of shape (n, k) into the positive label's probabilities, shape (n,), just as the scorer does."""
    margins = logits[:, positive_index].astype(np.float64) - logits[:, 1 - positive_index]
    return np.array([sigmoid(margin) for margin in margins.tolist()], dtype=np.float32)


def classifier_of(manifest: Manifest, model: bytes, tokenizer: bytes) -> Classifier:
    """Return the scorer's own classifier over a model that is in no bundle folder yet."""
    return Classifier(Bundle(manifest=manifest, digest="", model=model, tokenizer=tokenizer))


def _run_all(
    run: Callable[[Sequence[int]], NDArray[np.float32]], token_ids: Sequence[Sequence[int]], threads: int
) -> NDArray[np.float32]:
    with ThreadPoolExecutor(threads) as pool:
        try:
            return np.stack(list(pool.map(run, token_ids)))
        except BaseException:  # interrupted: do not score the rest first
            pool.shutdown(cancel_futures=True)
            raise
