"""Scores of a PyTorch checkpoint: the reference that exports are compared with. Needs the extra `train` or `export`.

Texts become tokens by the checkpoint's own tokenizer and the rules of `ro32.model.text`; weights and sums are float32.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ro32.data.papers import Columns
from ro32.data.part_reader import read_parts
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.scores import Scores
from ro32.evaluation.weights import load_model
from ro32.run.inputs import find_files
from ro32.run.plan import make_plan
from ro32.run.walk import Progress

THRESHOLD = 0.5  # a checkpoint names no threshold of its own
TOKENS_A_BATCH = 4_096
"""Padding included. MiniLM-L6, 2 cores, papers/s: 1 paper 10-16, 1,024 tokens 19-22, 4,096 25-26, 8,192 18-28."""
PART_ROWS = 2_000  # sorted by length at once: enough for batches of one length, few enough for progress each minute


class CheckpointModel:
    """A checkpoint, loaded to score with.

    The score is the probability of the label that is called as the category, if there is one, else of that at index 1,
    as training has it.

    Raises:
        BundleError: The folder is no checkpoint.
    """

    def __init__(self, folder: Path, category: str) -> None:
        self.checkpoint = Checkpoint.open(folder, needs_card=False)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model: nn.Module = nn.Module.to(load_model(folder), self.device)
        labels = self.checkpoint.labels
        self._positive = labels.index(category) if category in labels else 1

    def predict_proba(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.float32]:
        """Score n papers of normalized text.

        Returns:
            Shape (n,), float32: the positive label's probability; NaN if a paper has no text.
        """
        token_ids = self.checkpoint.tokenizer.encode_batch(titles, abstracts)
        scores = np.full(len(token_ids), np.nan, dtype=np.float32)
        lengths = np.array([len(ids) for ids in token_ids], dtype=np.int64)
        left = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
        while len(left):
            rows, left = np.split(left, [max(TOKENS_A_BATCH // lengths[left[0]], 1)])
            scores[rows] = self._score([token_ids[row] for row in rows])
        return scores

    def _score(self, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        input_ids = nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in token_ids], batch_first=True)
        attention_mask = nn.utils.rnn.pad_sequence([torch.ones(len(ids)) for ids in token_ids], batch_first=True)
        with torch.inference_mode():
            logits = self._model(
                input_ids=input_ids.to(self.device), attention_mask=attention_mask.to(self.device, torch.int64)
            ).logits
            probabilities = torch.softmax(logits.double(), dim=-1)[:, self._positive]
        return probabilities.float().cpu().numpy()


def score_with_checkpoint(
    inputs: Sequence[str],
    model: CheckpointModel,
    *,
    columns: Columns,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Scores:
    """Score the papers with a checkpoint.

    Raises:
        InputDataError: The papers are not what the input contract asks for.
    """
    plan = make_plan(find_files(inputs), columns, part_rows=PART_ROWS)
    values = [np.zeros(0, dtype=np.float32)]
    rows_done = 0
    for part, papers in read_parts(plan.parts, plan.columns, plan.id_type):
        values.append(model.predict_proba(papers.titles, papers.abstracts))
        rows_done += part.rows
        on_progress(Progress(papers=plan.rows, papers_done=rows_done, parts=len(plan.parts), parts_done=part.index + 1))
    plan.check_unchanged()
    checkpoint = model.checkpoint
    return Scores(
        name=checkpoint.folder.resolve().name,
        source=str(checkpoint.folder),
        digest=checkpoint.digest,
        threshold=THRESHOLD,
        values=np.concatenate(values),
    )
