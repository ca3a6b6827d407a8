"""The model card of a bundle: the checkpoint's own, plus the measurements of the export."""

from export.checkpoint import Checkpoint
from export.flips import MAX_SHARE, Flips
from export.measure import Quality
from export.verify import FP32_ATOL, MAX_AP_LOSS, MAX_F1_LOSS, MAX_FLIP_SHARE, Agreement

TEMPLATE = """{card}

## ONNX bundle ({variant})

This folder is the checkpoint's export for ro32: `model.onnx`, `tokenizer.json` and `bundle.json`, which holds the
digest of every file. A paper is one sequence of at most {max_length} tokens, alone in its batch: {text}.
It is called {positive_label} when its score is at least {threshold:.6f}.

Measured on {papers:,} papers, {positives:,} of them listed in {positive_label}. The threshold is the one of the best F1
on these same papers.

| average precision | F1 | precision | recall | accuracy | TP | FP | FN | TN |
|---|---|---|---|---|---|---|---|---|
| {measures} | {counts} |

Compared on {compared:,} papers, among them more positives, short and long ones than in the dump:

| what | found | allowed |
|---|---|---|
| fp32 ONNX against PyTorch, largest logit difference | {logit_difference:.1e} | {atol:.0e} |
| {variant} against fp32, papers with another label | {flip_share:.2%} | {max_flip_share:.2%} |
| the same, of the {papers:,} papers above | {flips_of_all:.3%} | {max_flips_of_all:.3%} |
| {variant} against fp32, loss of average precision | {ap_loss:+.4f} | {max_ap_loss} |
| {variant} against fp32, loss of F1 | {f1_loss:+.4f} | {max_f1_loss} |

Papers of those {papers:,} with another label, by characters of title and abstract:

| from | papers | another label | share |
|---|---|---|---|
{by_length}

The weights are derived from {base_model}; they were fine-tuned, converted to ONNX and {numbers}, so they differ from
the original. Licence: {licence}.
"""


def write_card(
    checkpoint: Checkpoint,
    *,
    variant: str,
    positive_label: str,
    quality: Quality,
    logit_difference: float,
    agreement: Agreement,
    flips: Flips,
) -> str:
    """Return the bundle's README.md.

    Args:
        checkpoint: Its card comes first, unchanged.
        variant: "int8" or "fp32".
        positive_label: Name of the positive label.
        quality: Measured with the bundle.
        logit_difference: Largest of fp32 ONNX against PyTorch.
        agreement: Of the bundle with fp32.
        flips: Labels of the bundle that fp32 does not give.
    """
    confusion = quality.confusion
    ratios = (
        quality.average_precision,
        confusion.f1,
        confusion.precision,
        confusion.recall,
        confusion.accuracy,
    )
    counts = (confusion.tp, confusion.fp, confusion.fn, confusion.tn)
    return TEMPLATE.format(
        card=checkpoint.card.rstrip(),
        variant=variant,
        max_length=checkpoint.max_length,
        text=checkpoint.form.description,
        positive_label=positive_label,
        threshold=quality.threshold,
        papers=quality.papers,
        positives=quality.positives,
        measures=" | ".join(f"{ratio:.4f}" for ratio in ratios),
        counts=" | ".join(f"{count:,}" for count in counts),
        compared=agreement.papers,
        logit_difference=logit_difference,
        atol=FP32_ATOL,
        flip_share=agreement.flip_share,
        max_flip_share=MAX_FLIP_SHARE,
        flips_of_all=flips.share,
        max_flips_of_all=MAX_SHARE,
        by_length="\n".join(
            f"| {group.characters} | {group.papers:,} | {group.flips} | {group.flips / group.papers:.3%} |"
            for group in flips.by_length
        ),
        ap_loss=agreement.ap_loss,
        max_ap_loss=MAX_AP_LOSS,
        f1_loss=agreement.f1_loss,
        max_f1_loss=MAX_F1_LOSS,
        base_model=checkpoint.base_model,
        numbers="quantized" if variant == "int8" else "left in fp32",
        licence=checkpoint.licence,
    )
