"""Measures a model on the validation papers."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ro32.model.metrics import Confusion, precision_recall
from ro32.train.batches import Shaper
from ro32.train.choose import PaperSet
from ro32.train.device import Device
from ro32.train.encoder import LABELS

THRESHOLD = 0.5
"""Probability from which a paper is called positive in the card's table, as in the original's."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Measures on validation, weighted to speak for all validation papers.

    Attributes:
        loss: Mean cross-entropy.
        accuracy, f1, precision, recall: At a threshold of 0.5.
        average_precision: Over all thresholds.
        best_f1: The highest F1 over all thresholds, and `best_threshold` where it is.
        scores: Shape (m,), float32: probability of the positive label, in the order of the papers.
    """

    loss: float
    accuracy: float
    f1: float
    precision: float
    recall: float
    average_precision: float
    best_f1: float
    best_threshold: float
    scores: NDArray[np.float32]

    def row(self) -> dict[str, float]:
        """Return the measures by name, without the scores."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "scores"}


def validate(
    model: PreTrainedModel,
    papers: PaperSet,
    device: Device,
    shaper: Shaper,
    *,
    on_papers: Callable[[int], object] = lambda _papers: None,
) -> Validation:
    """Score the papers, at least one of them positive, and measure the scores; the model is left in training mode."""
    issued: list[tuple[NDArray[np.int64], torch.Tensor]] = []
    model.eval()
    with torch.no_grad():
        for at in shaper.plan_evaluation(papers):
            first = 0
            for batch in shaper.batches(papers, at):
                put = device.put_rows
                with device.autocast():
                    output = model(input_ids=put(batch.input_ids), attention_mask=put(batch.attention_mask)).logits
                logits = output[:, :LABELS].float()
                device.finish()
                issued.append((at[first : first + len(logits)], logits))
                first += len(logits)
            on_papers(len(at))
    model.train()
    # Fetched only now: each fetch would wait for the device.
    all_logits = np.zeros((len(papers), 2), dtype=np.float32)
    for at, logits in issued:
        all_logits[at] = logits.cpu().numpy()[: len(at)]
    return measure(all_logits, papers)


def measure(logits: NDArray[np.float32], papers: PaperSet) -> Validation:
    """Compute the measures from the logits, shape (m, 2)."""
    margin = (logits[:, 1] - logits[:, 0]).astype(np.float64)
    signed = np.where(papers.positive, margin, -margin)
    losses = np.logaddexp(0.0, -signed)
    scores = 1 / (1 + np.exp(-margin))
    counts = Confusion.of(papers.positive, scores >= THRESHOLD, papers.weights)
    curve = precision_recall(papers.positive, scores, papers.weights)
    best_threshold, best_f1 = curve.best_f1()
    return Validation(
        loss=float(np.average(losses, weights=papers.weights)),
        accuracy=counts.accuracy,
        f1=counts.f1,
        precision=counts.precision,
        recall=counts.recall,
        average_precision=curve.average_precision,
        best_f1=best_f1,
        best_threshold=best_threshold,
        scores=scores.astype(np.float32),
    )
