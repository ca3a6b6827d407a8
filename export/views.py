"""`python -m export.views`: add a linear view and a calibrated combination to a bundle."""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from export.attach import add_views
from export.measure import read_scores, score_all
from export.mix import read_shares, weigh
from export.papers import read_papers
from ro32.cli.parameters import HELP, PATH, Number, bundle_output, threads_option
from ro32.cli.process import run
from ro32.cli.progress import ProgressDisplay
from ro32.errors import BundleError, InputDataError, InputMissingError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD
from ro32.model.classifier import Classifier
from ro32.model.linear_view import LinearModel
from ro32.model.processor import available_cores
from ro32.model.views import log_odds
from ro32.refresh.combine import ViewScores

scores_option = click.option(
    "--scores",
    metavar="FILE",
    type=PATH,
    help="The encoder's scores of these papers, as --scores-out writes them; its column papers has the "
    "weights of a sample.  [default: score them]",
)


@click.command(name="export.views", context_settings=HELP)
@click.argument("folder", type=PATH, metavar="BUNDLE")
@bundle_output
@click.option(
    "--linear", required=True, metavar="FILE", type=PATH, help="Linear view that python -m ro32.cli.linear wrote."
)
@click.option(
    "--papers",
    required=True,
    metavar="FILE",
    type=PATH,
    help="File of papers with categories, not used for training: Parquet, JSON lines or CSV.",
)
@scores_option
@click.option(
    "--shares",
    metavar="FILE",
    type=PATH,
    help="CSV file of the archives' shares of arXiv, used to weight the papers of the last two years.",
)
@click.option(
    "--threshold",
    metavar="P",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Minimum probability of a positive paper.  [default: where F1 is best]",
)
@threads_option
@click.option("--made-by", metavar="TEXT", help="Command and commit that made the bundle, for its card.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
def command(
    *,
    folder: Path,
    output: Path,
    linear: Path,
    papers: Path,
    scores: Path | None,
    shares: Path | None,
    threshold: float | None,
    threads: int | None,
    made_by: str | None,
    overwrite: bool,
) -> None:
    """Add a linear view to a bundle, and fit its combination with the encoder.

    BUNDLE is a folder that python -m export wrote.
    """
    bundle = Bundle.load(folder)
    alone = replace(bundle.manifest, views={}, view=None, cascade=None)
    encoder = Classifier(replace(bundle, manifest=alone, linear=None))
    labelled = read_papers(papers, bundle.manifest.positive_label)
    try:
        model = LinearModel.from_bytes(linear.read_bytes())
    except OSError as error:
        raise InputMissingError(f"{linear}: cannot be read: {error.strerror}; name a linear view") from error
    except BundleError as error:
        raise InputDataError(f"{linear}: {error}") from error
    counts = np.ones(len(labelled), dtype=np.int64)
    if scores is None:
        with ProgressDisplay() as display:
            by_encoder = score_all(encoder, labelled, threads=threads or available_cores(), on_progress=display.update)
    else:
        by_encoder, counts = read_scores(scores, labelled)
    rows = np.flatnonzero(np.isfinite(by_encoder))
    scored, counts = labelled.take(rows), counts[rows]
    by_both = ViewScores(
        positive=scored.positive,
        encoder=log_odds(by_encoder[rows]),
        linear=model.scores(scored.titles, scored.abstracts),
        weights=None if shares is None else weigh(scored.truth, read_shares(shares), counts),
        counts=counts,
    )
    if np.unique(by_both.positive[by_both.each > 0]).size < 2:  # noqa: PLR2004 - positive and negative
        raise InputDataError(
            f"{papers}: expected papers inside and outside of {bundle.manifest.positive_label} that have a score"
            f"{'' if shares is None else f' and a share in {shares}'}, found only one kind or none; name other files"
        )
    published, by_view = add_views(
        bundle,
        (folder / CARD).read_text(encoding="utf-8"),
        model.to_bytes(),
        by_both,
        scored,
        output=output,
        overwrite=overwrite,
        pictures={path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))},
        made_by=made_by,
        threshold=threshold,
    )
    click.echo("| view | average precision | F1 | precision | recall | expected calibration error |")
    for name, quality in by_view.items():
        click.echo(quality.table_row(name))
    click.echo(f"{output}: {published.manifest.name}, {published.digest}", err=True)


if __name__ == "__main__":
    run(command)
