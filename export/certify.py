"""`python -m export.certify`: measure how many labels a cascade changes, and certify it if they are few."""

from pathlib import Path

import click
import numpy as np

from export.measured import read_measured
from export.views import scores_option
from ro32.cli.parameters import HELP, PATH, Number, threads_option
from ro32.cli.process import run
from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.cascade import Cascade
from ro32.model.classifier import Classifier
from ro32.model.metrics import precision_recall
from ro32.model.processor import available_cores
from ro32.model.publish import publish
from ro32.refresh.certificate import Measured, cascade_scores, make_cascade, quality, table
from ro32.refresh.certified import with_cascade


def _findings(measured: Measured, cascade: Cascade) -> str:
    """Describe the effect of a cascade's cut on these papers."""
    row = next(table(measured, cascade.cut))
    bound = measured.bound(row.lost, cascade.certificate.confidence)
    lines = [
        ("papers with a score", f"{row.papers:,}"),
        (f"screened: linear view below {cascade.cut:g}", f"{row.screened:,} ({row.screened / row.papers:.2%})"),
        ("changed labels, all from positive to negative", f"{row.lost} ({row.lost / row.papers:.4%})"),
        (f"upper bound of that share, {cascade.certificate.confidence:.0%}", f"{bound:.4%}"),
        *((name.replace("_", " "), f"{value:.6f}") for name, value in quality(measured, cascade).items()),
    ]
    return "\n".join(f"{what:<50}{found:>20}" for what, found in lines)


@click.command(name="export.certify", context_settings=HELP)
@click.argument("folder", type=PATH, metavar="BUNDLE")
@click.option(
    "--papers",
    required=True,
    metavar="FILE",
    type=PATH,
    help="File of papers not used for training; categories are optional.",
)
@scores_option
@click.option(
    "--labels",
    metavar="FILE",
    type=PATH,
    help="Labels of these papers that ro32-score --full wrote with this bundle.  [default: score them]",
)
@click.option(
    "--max-share",
    metavar="SHARE",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.0001,
    help="Maximum share of changed labels.",
)
@click.option(
    "--confidence",
    metavar="SHARE",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.95,
    help="Confidence level of that bound.",
)
@threads_option
@click.option("-o", "--output", metavar="FOLDER", type=PATH, help="Bundle folder to write.  [default: BUNDLE]")
@click.option(
    "--check", is_flag=True, help="Measure the existing cascade of the bundle on these papers, and write nothing."
)
def command(
    *,
    folder: Path,
    papers: Path,
    scores: Path | None,
    labels: Path | None,
    max_share: float,
    confidence: float,
    threads: int | None,
    output: Path | None,
    check: bool,
) -> None:
    """Certify a cascade: papers that are clearly negative by the linear view need no encoder.

    BUNDLE is a folder that python -m export.views wrote. The papers are scored with and without the cascade. The
    fastest cut is chosen that changes at most the allowed share of the labels, at the given confidence, and that costs
    at most 0.001 of F1 and 0.0015 of average precision, if the papers have categories. If there is no such cut, the
    bundle is not changed, and the exit code is 78.
    """
    bundle = Bundle.load(folder)
    manifest = bundle.manifest
    if manifest.view is None or bundle.linear is None or not manifest.scoring_view.linear:
        raise BundleError(
            f"bundle {manifest.name}: it does not score by a linear view; add one by python -m export.views"
        )
    measured, digest = read_measured(
        Classifier(bundle, full=True), papers, scores=scores, labels=labels, threads=threads or available_cores()
    )
    if check:
        if manifest.cascade is None:
            raise BundleError(f"bundle {manifest.name}: it has no cascade to check; certify one without --check")
        click.echo(_findings(measured, manifest.cascade))
        return
    cascade = make_cascade(
        measured, view=manifest.view, max_share=max_share, confidence=confidence, papers_sha256=digest
    )
    click.echo(_findings(measured, cascade))
    curve = None
    if measured.listed is not None and measured.listed.any():
        curve = precision_recall(measured.listed, cascade_scores(measured, cascade).astype(np.float64))
    files = {name: (folder / name).read_bytes() for name in manifest.files}
    files = with_cascade(manifest, files, cascade, rows=list(table(measured, cascade.cut)), curve=curve)
    published = publish(output or folder, files, overwrite=True)
    click.echo(f"{output or folder}: {manifest.name}, {published.digest}", err=True)


if __name__ == "__main__":
    run(command)
