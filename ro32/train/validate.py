"""Measures a model on the validation papers."""

from collections.abc import Callable

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


def validate(
    model: PreTrainedModel,
    papers: PaperSet,
    device: Device,
    shaper: Shaper,
    *,
    on_papers: Callable[[int], object],
) -> tuple[dict[str, float], NDArray[np.float32]]:
    """Score the papers, at least one of them positive, and measure the scores; the model is left in training mode.

    Returns:
        Measures by name, weighted to speak for all validation papers: the mean cross-entropy, those at `THRESHOLD`, and
        the highest F1 with its threshold. And the probabilities of the positive label, shape (m,), float32.
    """
    issued: list[tuple[NDArray[np.int64], torch.Tensor]] = []
    model.eval()
    with torch.no_grad():
        for at in shaper.plan_evaluation(papers):
            first = 0
            for batch in shaper.batches(papers, at):
                logits = device.logits(model, batch)[:, :LABELS]
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


def measure(logits: NDArray[np.float32], papers: PaperSet) -> tuple[dict[str, float], NDArray[np.float32]]:
    """Compute the measures and the scores from the logits, shape (m, 2)."""
    margin = (logits[:, 1] - logits[:, 0]).astype(np.float64)
    losses = np.logaddexp(0.0, np.where(papers.positive, -margin, margin))
    scores = 1 / (1 + np.exp(-margin))
    counts = Confusion.of(papers.positive, scores >= THRESHOLD, papers.weights)
    curve = precision_recall(papers.positive, scores, papers.weights)
    best_threshold, best_f1 = curve.best_f1()
    measures = {
        "loss": float(np.average(losses, weights=papers.weights)),
        "accuracy": counts.accuracy,
        "f1": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
        "average_precision": curve.average_precision,
        "best_f1": best_f1,
        "best_threshold": best_threshold,
    }
    return measures, scores.astype(np.float32)
