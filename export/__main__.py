"""`python -m export`: convert a checkpoint to a bundle."""

from typing import Any

import click

from export.build import Form, Report, Settings, Variant, export_bundle
from export.verify import FP32_ATOL, MAX_AP_LOSS, MAX_DUMP_FLIP_SHARE, MAX_F1_LOSS, MAX_FLIP_SHARE
from ro32.cli.parameters import HELP, PATH, Count, bundle_output, threads_option
from ro32.cli.process import run
from ro32.cli.progress import ProgressDisplay
from ro32.model.processor import available_cores


@click.command(name="export", context_settings=HELP)
@click.argument("checkpoint", type=PATH, metavar="CHECKPOINT")
@bundle_output
@click.option(
    "--papers",
    required=True,
    metavar="FILE",
    type=PATH,
    help="File of papers with categories, not used for training: Parquet, JSON lines or CSV.",
)
@click.option(
    "--variant",
    type=click.Choice([item.value for item in Variant]),
    default=Variant.INT8.value,
    help="Precision of the published model.",
)
@click.option(
    "--form",
    type=click.Choice([item.value for item in Form]),
    default=Form.ONE_PAPER.value,
    help="Input of the model: one unpadded paper, or padded batches (for other programs than ro32).",
)
@click.option("--name", metavar="NAME", help="Name of the bundle in reports.  [default: positive label and variant]")
@click.option(
    "--category",
    metavar="NAME",
    help="Positive category; the score is the probability of this label.  [default: the label at index 1]",
)
@click.option(
    "--labels",
    metavar="NAME,NAME",
    help="Label names in the order of the logits, if the checkpoint only numbers them.  [default: the checkpoint's]",
)
@click.option(
    "--verify-papers",
    metavar="N",
    type=Count(min=10),
    default=Settings.verify_papers,
    help="Number of papers to compare PyTorch, fp32 and int8 on.",
)
@click.option(
    "--measure-papers",
    metavar="N",
    type=Count(min=10),
    help="Number of random papers to measure threshold and quality on.  [default: all]",
)
@threads_option
@click.option(
    "--seed",
    metavar="N",
    type=Count(min=0),
    default=Settings.seed,
    help="Seed of the random samples.",
)
@click.option("--scores-out", metavar="FILE", type=PATH, help="Parquet file to write the measured scores to.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
def command(
    *,
    variant: str,
    form: str,
    labels: str | None,
    threads: int | None,
    **others: Any,  # noqa: ANN401 - the other fields of the settings
) -> None:
    """Turn a checkpoint into a bundle that ro32-score can use.

    CHECKPOINT is a folder that ro32-train wrote, or one of the original ro-32. Its model is converted to ONNX,
    quantized, and compared with PyTorch on real papers. If they differ by more than the documented bounds, nothing is
    published, and the exit code is 78.

    Example: python -m export checkpoint/ -o bundle/ --papers validation.parquet
    """
    settings = Settings(
        variant=Variant(variant),
        form=Form(form),
        labels=None if labels is None else tuple(name.strip() for name in labels.split(",")),
        threads=threads or available_cores(),
        **others,
    )
    with ProgressDisplay() as display:
        report = export_bundle(settings, say=lambda line: click.echo(line, err=True), on_progress=display.update)
    click.echo(_table(report, settings.variant))
    click.echo(f"{settings.output}: {report.bundle.manifest.name}, {report.bundle.digest}", err=True)


def _table(report: Report, variant: Variant) -> str:
    agreement, flips, quality = report.agreement, report.flips, report.quality
    rows = [
        (f"on {agreement.papers:,} papers ({report.truncated:,} truncated)", "found", "allowed"),
        ("fp32 against PyTorch: largest logit difference", f"{report.logit_difference:.1e}", f"{FP32_ATOL:.0e}"),
        (f"{variant} against fp32: other labels", f"{agreement.flip_share:.2%}", f"{MAX_FLIP_SHARE:.2%}"),
        (f"the same, on {flips.papers:,} papers of a dump", f"{flips.share:.3%}", f"{MAX_DUMP_FLIP_SHARE:.3%}"),
        (f"{variant} against fp32: loss of average precision", f"{agreement.ap_loss:+.4f}", f"{MAX_AP_LOSS}"),
        (f"{variant} against fp32: loss of F1", f"{agreement.f1_loss:+.4f}", f"{MAX_F1_LOSS}"),
        (f"{variant} on {quality.papers:,} papers, {quality.positives:,} positive", "", ""),
        ("average precision", f"{quality.average_precision:.4f}", ""),
        ("threshold", f"{quality.threshold:.4f}", ""),
        ("F1", f"{quality.confusion.f1:.4f}", ""),
        *((name, f"{getattr(quality.confusion, name):.4f}", "") for name in ("precision", "recall", "accuracy")),
    ]
    return "\n".join(f"{what:<50}{found:>10}{allowed:>10}".rstrip() for what, found, allowed in rows)


if __name__ == "__main__":
    run(command)
