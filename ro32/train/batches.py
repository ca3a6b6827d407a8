"""Orders papers into steps, and steps into padded arrays of a few shapes, independent of any framework."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ro32.train.choose import PaperSet

Number = TypeVar("Number", np.int64, np.float32)

LENGTH_MULTIPLE = 16
"""Where shapes are free, rows are padded to a multiple of so many tokens: matrix kernels work in tiles of 16."""
FIXED_LENGTHS = (64, 128, 192, 256, 384, 512)
"""Where every new shape costs a compilation, rows are padded to one of these. arXiv papers have 198 tokens on average,
95 % of them fewer than 384 (MiniLM's vocabulary); padding then adds 16 %."""
GROUP_STEPS = 50
"""Steps whose papers are sorted by length together, as transformers' LengthGroupedSampler does."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """b rows of t tokens, of which some may be no papers."""

    input_ids: NDArray[np.int64]  # (b, t)
    attention_mask: NDArray[np.int64]  # (b, t): 1 for a token of the paper, 0 for padding
    targets: NDArray[np.float32]  # (b,): the probability of being positive that the model is to learn
    auxiliary: NDArray[np.float32]  # (b, c): 1 where a paper lists the category of that column
    row_mask: NDArray[np.float32]  # (b,): 1 for a paper, 0 for a row that only fills the shape up


@dataclass(frozen=True, kw_only=True)
class Shaper:
    """The rule by which papers become batches."""

    rows: int  # papers that belong together: those of a step
    max_length: int  # tokens a paper is cut to
    pad: int  # token id that fills rows up
    tokens_per_pass: int  # a batch holds at most about so many tokens; longer papers get batches of fewer rows
    fixed: bool  # lengths come from FIXED_LENGTHS and rows are filled up, so that few shapes occur
    row_multiple: int  # rows of a batch are a multiple of this, so that it divides among so many devices
    auxiliary: tuple[str, ...] = ()  # the c categories of the auxiliary task, in the order of their columns
    full_length: bool = False  # every row is padded to max_length

    def shapes(self) -> list[tuple[int, int]]:
        """Return all (rows, length) that can occur, when they are fixed."""
        shorter = () if self.full_length else FIXED_LENGTHS
        lengths = [*(length for length in shorter if length < self.max_length), self.max_length]
        return [(self._rows_at(length), length) for length in lengths]

    def batches(self, papers: PaperSet, at: NDArray[np.int64]) -> list[Batch]:
        """Turn the papers of one step, at most `rows` positions in `papers`, into batches of the same shape."""
        length = self._length(min(int(papers.lengths[at].max()), self.max_length))
        rows = self._rows_at(length)
        whole = -(-self.rows // rows) * rows if self.fixed else len(at)
        return [self._batch(papers, at[first : first + rows], length, rows) for first in range(0, whole, rows)]

    def plan_evaluation(self, papers: PaperSet) -> Iterator[NDArray[np.int64]]:
        """Yield positions in groups of similar length, the longest first: memory then runs out at once if at all."""
        order = np.argsort(-papers.lengths, kind="stable")
        yield from (order[first : first + self.rows] for first in range(0, len(order), self.rows))

    def _length(self, longest: int) -> int:
        if self.full_length:
            return self.max_length
        if self.fixed:
            return next(length for _, length in self.shapes() if length >= longest)
        return min(-(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, self.max_length)

    def _rows_at(self, length: int) -> int:
        whole = -(-self.rows // self.row_multiple) * self.row_multiple
        fitting = max(self.tokens_per_pass // length // self.row_multiple, 1) * self.row_multiple
        return min(whole, fitting)

    def _batch(self, papers: PaperSet, at: NDArray[np.int64], length: int, rows: int) -> Batch:
        missing = rows - len(at) if self.fixed else 0

        def fill(array: NDArray[Number], value: int = 0) -> NDArray[Number]:
            return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)], constant_values=value)

        input_ids, attention_mask = papers.corpus.rows(papers.index[at], length=length, pad=self.pad)
        attention_mask = fill(attention_mask)
        # A row without any token would make the attention's softmax 0 / 0, so even a filler row has one.
        attention_mask[:, 0] = 1
        return Batch(
            input_ids=fill(input_ids, self.pad),
            attention_mask=attention_mask,
            targets=fill(papers.targets[at]),
            auxiliary=fill(papers.corpus.listed(papers.index[at], self.auxiliary).astype(np.float32)),
            row_mask=fill(np.ones(len(at), dtype=np.float32)),
        )


def plan_epoch(lengths: NDArray[np.int64], *, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Order one epoch's n papers into steps of papers of similar length: an array of positions for each step.

    Papers are shuffled, sorted by length within groups of `GROUP_STEPS` steps, cut into steps, and the steps shuffled.
    Every paper occurs once; only the last of the steps, before they are shuffled, may be short. Epochs count from 0.
    `lengths` are in tokens, shape (n,).
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    group = batch_size * GROUP_STEPS
    steps: list[NDArray[np.int64]] = []
    for first in range(0, len(order), group):
        papers = order[first : first + group]
        papers = papers[np.argsort(-lengths[papers], kind="stable")]
        steps += [papers[at : at + batch_size] for at in range(0, len(papers), batch_size)]
    return [steps[at] for at in rng.permutation(len(steps))]
