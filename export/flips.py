"""Counts the papers whose label differs between the published model and the fp32 one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.measure import score_all
from export.papers import LabelledPapers
from export.verify import Mismatch, MismatchError
from ro32.model.classifier import Classifier
from ro32.refresh.combine import log_odds

MAX_SHARE = 0.001
"""Most papers of a dump that may change their label. The papers to verify on have a bound of their own: among them are
many near the threshold."""
FEW = 3
"""So many flips are never too many: among a few hundred papers they say nothing of the share in a dump."""
REACH = 2.0
"""How much further a paper of the dump may move than the one that moved most of those to verify on."""


@dataclass(frozen=True, kw_only=True)
class Flips:
    """Papers that get another label than by the fp32 model, among papers with a dump's share of positives."""

    papers: int  # those with a score
    compared: int  # those near enough to the threshold that the fp32 model was asked
    flips: int  # those that get another label

    @property
    def share(self) -> float:
        """Share of the papers that get another label."""
        return self.flips / self.papers


def reach(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Return the largest distance from the threshold at which a label can change, in log-odds; both (n,)."""
    return REACH * float(np.abs(log_odds(reference) - log_odds(candidate)).max())


def check_flips(
    reference: Classifier,
    papers: LabelledPapers,
    scores: NDArray[np.float32],
    threshold: float,
    *,
    within: float,
    threads: int,
) -> Flips:
    """Refuse a model that labels too many papers of a dump otherwise than the fp32 model, the reference.

    That is slow, so it scores only papers that can have changed their label: those `within` so many log-odds of the
    threshold, as `reach` returns it. Scores have the shape (n,), and are NaN if a paper has no token.

    Raises:
        MismatchError: Of kind FLIPS.
    """
    distances = np.abs(log_odds(scores) - log_odds(np.array([threshold], dtype=np.float32)))
    near = np.flatnonzero(distances <= within)
    expected = score_all(reference, papers.take(near), threads=threads, on_progress=lambda _: None)
    flips = int(np.sum((expected >= threshold) != (scores[near] >= threshold)))
    found = Flips(papers=int(np.isfinite(scores).sum()), compared=len(near), flips=flips)
    if found.flips > max(FEW, MAX_SHARE * found.papers):
        raise MismatchError(
            Mismatch.FLIPS,
            f"{found.flips} of {found.papers:,} papers of a dump change their label at {threshold:.4f} "
            f"({found.share:.3%}), at most {MAX_SHARE:.1%} may",
        )
    return found
