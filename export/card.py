"""The model card of a bundle: the checkpoint's own, and what was measured on the way."""

from export import verify
from export.checkpoint import Checkpoint
from export.flips import MAX_SHARE, Flips
from export.measure import Quality
from export.verify import Agreement

TEMPLATE = """{card}

## ONNX bundle ({variant})

This folder is the checkpoint's export for ro32: `model.onnx`, `tokenizer.json` and `bundle.json`, which holds the
digest of every file. A paper is one sequence of at most {checkpoint.max_length} tokens, alone in its batch:
{checkpoint.form.description}. It is called {label} when its score is at least {quality.threshold:.6f}.

Measured on {quality.papers:,} papers, {quality.positives:,} of them listed in {label}. The threshold is the one of the
best F1 on these same papers.

| average precision | F1 | precision | recall | accuracy | TP | FP | FN | TN |
|---|---|---|---|---|---|---|---|---|
| {quality.average_precision:.4f} | {confusion.f1:.4f} | {confusion.precision:.4f} | {confusion.recall:.4f} \
| {confusion.accuracy:.4f} | {confusion.tp:,} | {confusion.fp:,} | {confusion.fn:,} | {confusion.tn:,} |

Compared on {agreement.papers:,} papers, among them more positives, short and long ones than in the dump:

| what | found | allowed |
|---|---|---|
| fp32 ONNX against PyTorch, largest logit difference | {logit_difference:.1e} | {verify.FP32_ATOL:.0e} |
| {variant} against fp32, papers with another label | {agreement.flip_share:.2%} | {verify.MAX_FLIP_SHARE:.2%} |
| the same, of the {quality.papers:,} papers above | {flips.share:.3%} | {max_share:.3%} |
| {variant} against fp32, loss of average precision | {agreement.ap_loss:+.4f} | {verify.MAX_AP_LOSS} |
| {variant} against fp32, loss of F1 | {agreement.f1_loss:+.4f} | {verify.MAX_F1_LOSS} |

The weights are derived from {checkpoint.base_model}; they were fine-tuned, converted to ONNX and {numbers}, so they
differ from the original. Licence: {checkpoint.licence}.
"""


def write_card(
    checkpoint: Checkpoint,
    *,
    variant: str,
    label: str,
    quality: Quality,
    logit_difference: float,
    agreement: Agreement,
    flips: Flips,
) -> str:
    """Return the bundle's README.md: the checkpoint's card, unchanged, and what was measured of the bundle."""
    return TEMPLATE.format(
        card=checkpoint.card.rstrip(),
        checkpoint=checkpoint,
        variant=variant,
        label=label,
        quality=quality,
        confusion=quality.confusion,
        logit_difference=logit_difference,
        agreement=agreement,
        flips=flips,
        verify=verify,
        max_share=MAX_SHARE,
        numbers="quantized" if variant == "int8" else "left in fp32",
    )
