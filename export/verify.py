"""Compares the PyTorch checkpoint, its fp32 ONNX export and the published model, within stated bounds.

Used by the export itself and by the parity tests, so that both mean the same by "equal". Each check raises a
`MismatchError` that names its kind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from export.papers import LabelledPapers
from ro32.errors import BundleError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model.metrics import Confusion, average_precision
from ro32.model.views import log_odds

FP32_ATOL = 1e-4
"""Largest |logit difference| of fp32 ONNX and PyTorch. Two orders of the same sums differ by about 1e-6 in a BERT of 6
or 12 layers; a wrong weight, mask or position id by more than 1e-2. The bound lies between, a decade from either."""
MAX_FLIP_SHARE = 0.01
"""Most papers to verify on whose label may differ between fp32 and int8. The first model that shipped flipped 0.25 %. A
quarter of these papers are positives, so a larger share lies near the threshold than in a dump."""
MAX_DUMP_FLIP_SHARE = 0.001
"""Most papers of a dump that may change their label."""
FEW_FLIPS = 3
"""So many flips are never too many: among a few hundred papers they say nothing of the share in a dump."""
REACH = 2.0
"""How much further a paper of the dump may move than the one that moved most of those to verify on."""
MAX_AP_LOSS = 0.002
"""Most average precision that int8 may lose. The first model that shipped lost 0.00005, others like it up to 0.0005; a
scale for each tensor instead of each channel costs 0.0036."""
MAX_F1_LOSS = 0.01
"""Most F1 at the threshold that int8 may lose. The first model that shipped lost 0.0036, by 5 papers."""


class Mismatch(StrEnum):
    """In which way an export differs from its checkpoint."""

    LABELS = "label names"
    TOKENIZER = "tokenizer"
    SHAPE = "shape"
    NOT_FINITE = "not finite"
    TOLERANCE = "tolerance"
    FLIPS = "label flips"
    QUALITY = "quality"


class MismatchError(BundleError):
    """An export is not what its checkpoint is, so it is not published."""

    def __init__(self, kind: Mismatch, message: str) -> None:
        self.kind = kind
        advice = (
            "; --variant fp32 publishes the model unquantized" if kind in {Mismatch.FLIPS, Mismatch.QUALITY} else ""
        )
        super().__init__(f"mismatch ({kind}): {message}; nothing was published{advice}")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the scores of the published variant agree with those of fp32, over some papers at one threshold."""

    papers: int
    flips: int  # papers that get another label
    ap_loss: float  # average precision of fp32 minus that of the variant
    f1_loss: float  # the same of F1
    max_score_difference: float  # largest |difference| of two scores

    @property
    def flip_share(self) -> float:
        """Share of papers that get another label."""
        return self.flips / self.papers


@dataclass(frozen=True, kw_only=True)
class Flips:
    """Papers that get another label than by the fp32 model, among papers with a dump's share of positives."""

    papers: int  # those with a score
    compared: int  # those near enough to the threshold that the fp32 model was asked
    flips: int

    @property
    def share(self) -> float:
        """Share of the papers that get another label."""
        return self.flips / self.papers


def check_labels(expected: Sequence[str], found: Sequence[str]) -> None:
    """Refuse label names that are not the model's own, in the order of its logits."""
    if list(expected) != list(found):
        raise MismatchError(Mismatch.LABELS, f"the model's are {list(expected)}, the bundle's are {list(found)}")


def check_direction(positive: NDArray[np.bool_], scores: NDArray[np.floating], label: str) -> None:
    """Refuse a model that scores other papers higher than those of the positive label: its label names are swapped."""
    ranks = np.argsort(np.argsort(scores)).astype(np.float64)
    if ranks[positive].mean() <= ranks[~positive].mean():
        found = f"papers of {label} score lower than others; the logits' names are swapped, or training was too short"
        raise MismatchError(Mismatch.LABELS, found)


def check_tokenizer(checkpoint: Checkpoint, papers: LabelledPapers, token_ids: Sequence[Sequence[int]]) -> None:
    """Refuse token ids of n papers that are not those of transformers.

    Texts that spell a special token are skipped: transformers takes "[SEP]" in a paper for the control token, and
    the bundle on purpose does not.
    """
    reference, special = checkpoint.reference, checkpoint.reference.all_special_tokens
    texts = zip(*checkpoint.form.fields(papers.titles, papers.abstracts), strict=True)
    for title, fields, ids in zip(papers.titles, texts, token_ids, strict=True):
        if any(token in field for token in special for field in fields):
            continue
        text = checkpoint.tokenizer.separator.join(fields)
        expected = reference(text, truncation=True, max_length=checkpoint.max_length)["input_ids"]
        if expected != ids:
            pairs = enumerate(zip(expected, ids, strict=False))
            where = next((at for at, (first, second) in pairs if first != second), "the end")
            raise MismatchError(
                Mismatch.TOKENIZER,
                f"{title[:60]!r} has {len(expected)} tokens in the checkpoint and {len(ids)} in the bundle, "
                f"the first difference at {where}",
            )


def check_finite(logits: NDArray[np.float32], whose: str) -> None:
    """Refuse logits of shape (n, k) that are not all finite."""
    bad = int(np.sum(~np.isfinite(logits).all(axis=1)))
    if bad:
        raise MismatchError(Mismatch.NOT_FINITE, f"{whose} gives NaN or infinite logits for {bad} papers")


def check_logits(reference: NDArray[np.float32], candidate: NDArray[np.float32], *, atol: float = FP32_ATOL) -> float:
    """Refuse logits, shape (n, k), that differ by more than a tolerance; return the largest |difference|."""
    if reference.shape != candidate.shape:
        raise MismatchError(Mismatch.SHAPE, f"expected logits of shape {reference.shape}, found {candidate.shape}")
    check_finite(reference, "the checkpoint")
    check_finite(candidate, "the export")
    differences = np.abs(reference.astype(np.float64) - candidate).max(axis=1)
    worst = int(differences.argmax())
    if differences[worst] > atol:
        raise MismatchError(
            Mismatch.TOLERANCE,
            f"logits may differ by {atol:.0e}, found {differences[worst]:.2e} (paper {worst} of {len(differences)}, "
            f"{int(np.sum(differences > atol))} out of bounds)",
        )
    return float(differences[worst])


def check_agreement(
    positive: NDArray[np.bool_], reference: NDArray[np.float32], candidate: NDArray[np.float32], threshold: float
) -> Agreement:
    """Refuse scores, shape (n,), that label papers too differently from fp32 (the reference), or rank them worse."""
    calls, new_calls = reference >= threshold, candidate >= threshold
    found = Agreement(
        papers=len(positive),
        flips=int(np.sum(calls != new_calls)),
        ap_loss=average_precision(positive, reference) - average_precision(positive, candidate),
        f1_loss=Confusion.of(positive, calls).f1 - Confusion.of(positive, new_calls).f1,
        max_score_difference=float(np.abs(reference - candidate).max()),
    )
    if found.flip_share > MAX_FLIP_SHARE:
        raise MismatchError(
            Mismatch.FLIPS,
            f"{found.flips} of {found.papers} papers change their label at {threshold:.4f} ({found.flip_share:.2%}), "
            f"at most {MAX_FLIP_SHARE:.2%} may",
        )
    for name, loss, bound in (("AP", found.ap_loss, MAX_AP_LOSS), ("F1", found.f1_loss, MAX_F1_LOSS)):
        if loss > bound:
            fall = f"{name} falls by {loss:.4f} against fp32, at most {bound} is allowed"
            raise MismatchError(Mismatch.QUALITY, fall)
    return found


def reach(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Return the largest distance from the threshold at which a label can change, in log-odds; both (n,)."""
    return REACH * float(np.abs(log_odds(reference) - log_odds(candidate)).max())


def check_flips(
    score: Callable[[LabelledPapers], NDArray[np.float32]],
    papers: LabelledPapers,
    scores: NDArray[np.float32],
    threshold: float,
    *,
    within: float,
) -> Flips:
    """Refuse scores, (n,), that label too many papers of a dump otherwise than the fp32 model, by which `score` scores.

    That is slow, so it scores only papers that can have changed their label: those `within` so many log-odds of the
    threshold, as `reach` returns it. Scores are NaN if a paper has no token.
    """
    distances = np.abs(log_odds(scores) - log_odds(np.array([threshold], dtype=np.float32)))
    near = np.flatnonzero(distances <= within)
    flips = int(np.sum((score(papers.take(near)) >= threshold) != (scores[near] >= threshold)))
    found = Flips(papers=int(np.isfinite(scores).sum()), compared=len(near), flips=flips)
    if found.flips > max(FEW_FLIPS, MAX_DUMP_FLIP_SHARE * found.papers):
        raise MismatchError(
            Mismatch.FLIPS,
            f"{found.flips} of {found.papers:,} papers of a dump change their label at {threshold:.4f} "
            f"({found.share:.3%}), at most {MAX_DUMP_FLIP_SHARE:.1%} may",
        )
    return found
