"""Checkpoint -> bundle: convert, simplify, compare, quantize, compare, measure, publish."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from export import verify
from export.compare import Sample, classifier_of, onnx_logits, pytorch_logits, scores_of, tokenize
from export.convert import convert, input_names, quantize
from export.measure import Quality, measure, score_all, write_scores
from export.papers import pick_hard, pick_random, read_papers
from export.simplify import simplify
from export.verify import Agreement, Flips
from ro32.cli import target
from ro32.errors import UsageError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.weights import deciding_files, load_model
from ro32.markdown import render
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, MANIFEST, MODEL, TOKENIZER, Manifest, sha256
from ro32.model.classifier import Classifier
from ro32.model.processor import processor_name
from ro32.model.publish import check_target, publish
from ro32.run.walk import Progress

TOOLS = ("onnx", "onnxruntime", "optimum", "optimum-onnx", "tokenizers", "torch", "transformers")
POSITIVE_INDEX = 1
"""Where training puts the positive label."""


class Form(StrEnum):
    """For what runs the published graph is made."""

    ONE_PAPER = "one-paper"
    BATCHES = "batches"


class Variant(StrEnum):
    """In which numbers the published model computes."""

    INT8 = "int8"
    FP32 = "fp32"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to export, and how: the options of `python -m export`."""

    checkpoint: Path
    output: Path
    papers: Path
    name: str | None = None
    variant: Variant = Variant.INT8
    form: Form = Form.ONE_PAPER
    category: str | None = None
    labels: tuple[str, ...] | None = None
    verify_papers: int = 2000
    measure_papers: int | None = None
    threads: int = 1
    seed: int = 20230227
    scores_out: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found on the way to a published bundle."""

    bundle: Bundle
    truncated: int  # papers compared on that were cut to the maximum length
    logit_difference: float  # largest |difference| of fp32 ONNX and PyTorch
    agreement: Agreement
    flips: Flips  # on the papers that quality was measured on
    quality: Quality


def export_bundle(settings: Settings, *, say: Callable[[str], None], on_progress: Callable[[Progress], None]) -> Report:
    """Export a checkpoint, and publish the bundle only if it is what the checkpoint is.

    Raises:
        MismatchError: The export differs from the checkpoint.
        Ro32Error: Checkpoint, labels, papers or output cannot be used.
    """
    check_target(settings.output, overwrite=settings.overwrite, read=[settings.papers, settings.checkpoint])
    if settings.scores_out is not None:
        if settings.scores_out.resolve() == settings.output.resolve():
            raise UsageError(f"--scores-out {settings.scores_out}: is the bundle's folder; name another file")
        target.check_target(settings.scores_out, [settings.papers, *deciding_files(settings.checkpoint)])
    checkpoint = Checkpoint.open(settings.checkpoint)
    manifest = _manifest(settings, checkpoint)
    papers = read_papers(settings.papers, manifest.positive_label)
    say("tokenizing")
    sample = tokenize(checkpoint, papers.take(pick_hard(papers, settings.verify_papers, settings.seed)))
    truth = sample.papers.positive
    files = {**checkpoint.pictures, TOKENIZER: checkpoint.tokenizer_json}
    with TemporaryDirectory(prefix="ro32-export-") as work:
        say("converting to ONNX")
        path = convert(checkpoint, Path(work) / Variant.FP32)
        if settings.form is Form.ONE_PAPER:
            simplified = simplify(path, path.with_name(f"{Form.ONE_PAPER}.onnx"), max_length=checkpoint.max_length)
            path = simplified.path
            say(simplified.description)
        manifest = replace(manifest, inputs=input_names(path))
        say(f"comparing fp32 with PyTorch on {len(sample.papers):,} papers, {sample.truncated:,} of them truncated")
        fp32 = classifier_of(manifest, path.read_bytes(), files[TOKENIZER])
        reference, logit_difference = _compare_with_pytorch(checkpoint, fp32, sample, settings.threads)
        if settings.variant is Variant.INT8:
            say("quantizing to int8")
            path = quantize(path, Path(work) / Variant.INT8)
        files[MODEL] = path.read_bytes()
    say(f"comparing {settings.variant} with fp32")
    classifier = classifier_of(manifest, files[MODEL], files[TOKENIZER])
    logits = onnx_logits(classifier, sample.token_ids, settings.threads)
    verify.check_finite(logits, settings.variant)
    scores = scores_of(logits, manifest.positive_index)
    # The threshold is known only after minutes of scoring, so a broken model is first refused at the sample's own.
    verify.check_agreement(truth, reference, scores, measure(truth, reference).threshold)
    measured = papers
    if settings.measure_papers is not None:
        measured = papers.take(pick_random(papers, settings.measure_papers, settings.seed))
    say(f"measuring {settings.variant} on {len(measured):,} papers")
    found = score_all(classifier, measured, threads=settings.threads, on_progress=on_progress)
    if settings.scores_out is not None:
        write_scores(settings.scores_out, measured.ids, measured.positive, found)
    quality = measure(measured.positive, found)
    agreement = verify.check_agreement(truth, reference, scores, quality.threshold)
    by_fp32 = partial(score_all, fp32, threads=settings.threads, on_progress=lambda _: None)
    flips = verify.check_flips(by_fp32, measured, found, quality.threshold, within=verify.reach(reference, scores))
    files[CARD] = render(
        "export",
        "card.md",
        checkpoint=checkpoint,
        variant=settings.variant,
        label=manifest.positive_label,
        quality=quality,
        logit_difference=logit_difference,
        agreement=agreement,
        flips=flips,
        bounds=verify,
    ).encode()
    files[MANIFEST] = replace(
        manifest,
        threshold=quality.threshold,
        quality={
            **quality.as_json(),
            "papers_sha256": papers.digest,
            "processor": processor_name(),
            "fp32_max_logit_difference": logit_difference,
            f"{settings.variant}_against_fp32": {**asdict(agreement), "flips_of_all": asdict(flips)},
        },
        files={name: sha256(content) for name, content in files.items()},
    ).to_bytes()
    bundle = publish(settings.output, files, overwrite=settings.overwrite)
    return Report(
        bundle=bundle,
        truncated=sample.truncated,
        logit_difference=logit_difference,
        agreement=agreement,
        flips=flips,
        quality=quality,
    )


def _manifest(settings: Settings, checkpoint: Checkpoint) -> Manifest:
    """Return all of the manifest that is known before anything is measured."""
    labels = _labels(settings, checkpoint)
    category = settings.category or labels[POSITIVE_INDEX]
    if category not in labels:
        raise UsageError(
            f"--category {category}: the labels are {', '.join(labels)}; name them as in --labels other,{category}"
        )
    return Manifest(
        name=settings.name or f"{category} {settings.variant}",
        labels=labels,
        positive_label=category,
        threshold=0.5,  # until one is measured
        max_length=checkpoint.max_length,
        separator=checkpoint.tokenizer.separator,
        text_form=str(checkpoint.form),
        source={
            "checkpoint_sha256": checkpoint.digest,
            "base_model": checkpoint.base_model,
            "licence": checkpoint.licence,
            "variant": str(settings.variant),
        },
        tools={name: version(name) for name in TOOLS},
    )


def _labels(settings: Settings, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the names of the logits."""
    if settings.labels is None:
        if checkpoint.labels != ("0", "1"):  # what the original calls them
            return checkpoint.labels
        if settings.category is None:
            raise UsageError(
                "the checkpoint's labels are the numbers 0 and 1; name the category that it was trained for, "
                "as in --category cs.RO --labels other,cs.RO"
            )
        return ("other", settings.category)
    if not len(set(settings.labels)) == len(settings.labels) == len(checkpoint.labels) or not all(settings.labels):
        raise UsageError(
            f"--labels {','.join(settings.labels)}: expected 2 different names, one for each logit in their order, as "
            "in --labels other,cs.RO"
        )
    return settings.labels


def _compare_with_pytorch(
    checkpoint: Checkpoint, fp32: Classifier, sample: Sample, threads: int
) -> tuple[NDArray[np.float32], float]:
    """Return the scores of the fp32 export, and its largest logit difference from PyTorch."""
    model = load_model(checkpoint.folder)
    verify.check_labels([str(name) for _, name in sorted((model.config.id2label or {}).items())], checkpoint.labels)
    reference = pytorch_logits(model, sample.token_ids, threads)
    logits = onnx_logits(fp32, sample.token_ids, threads)
    difference = verify.check_logits(reference, logits)
    scores = scores_of(logits, fp32.manifest.positive_index)
    verify.check_direction(sample.papers.positive, scores, fp32.manifest.positive_label)
    return scores, difference
