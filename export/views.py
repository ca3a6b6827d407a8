"""`python -m export.views`: give a bundle of the encoder alone a linear view, and a calibrated combination of both."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import click
import numpy as np
import polars as pl
from numpy.typing import NDArray

from export.combine import Scores, ViewQuality, cross_fit, curves_csv, fit_view, log_odds
from export.measure import score_all
from export.papers import LabelledPapers, read_papers
from export.publish import publish
from ro32.bundle import CARD, CURVES, LINEAR, MANIFEST, MODEL, TOKENIZER, Bundle, sha256
from ro32.classifier import Classifier
from ro32.cli.process import run
from ro32.cli.progress import ProgressDisplay
from ro32.errors import BundleError, InputDataError, InputMissingError
from ro32.linear import LinearModel
from ro32.processor import available_cores
from ro32.score import Progress
from ro32.views import ViewName

MAX_LOSS = 0.005
"""Most average precision that the combination may be behind its better view: what cross-fitting two numbers costs on a
few hundred positive papers. A combination that is behind by more has something wrong in it."""
SECTION = """

## Views

A paper is scored twice: by the encoder, and by a logistic regression over its words and word pairs. The two err
differently, and the score is a logistic of both, fitted on {papers:,} papers of {share:.2%} {label} that neither was
trained on. So it is a probability at that prevalence, and a paper is called {label} when its score is at least
{threshold:.6f}, where F1 is best. `curves.csv` has precision and recall at other thresholds.

Measured on the same papers, cross-fitted: each fifth by weights and threshold fitted on the other four.

| view | average precision | F1 | precision | recall | expected calibration error |
|---|---|---|---|---|---|
{rows}
"""


@dataclass(frozen=True, kw_only=True)
class Views:
    """A published bundle, and what its views are worth.

    Attributes:
        bundle: As published.
        quality: By view.
    """

    bundle: Bundle
    quality: Mapping[ViewName, ViewQuality]


def add_views(bundle: Bundle, card: str, linear: bytes, scores: Scores, *, output: Path, overwrite: bool) -> Views:
    """Fit the views, and publish the bundle with them.

    Args:
        bundle: Of the encoder alone, or with views, which are fitted anew.
        card: Its model card; a section on views is appended, or replaces the one that is there.
        linear: The linear view, serialized.
        scores: Papers that neither model was trained on, at the prevalence of a dump.
        output: The folder to appear.
        overwrite: Replace a bundle that is there.

    Raises:
        BundleError: The combination ranks papers worse than one of its views does alone, by more than `MAX_LOSS`.
        OutputError: The folder cannot be written.
    """
    manifest = bundle.manifest
    fitted = {name: fit_view(scores, name) for name in ViewName}
    quality = {name: cross_fit(scores, name) for name in ViewName}
    best_alone = max(quality[name].average_precision for name in (ViewName.ENCODER, ViewName.LINEAR))
    if quality[ViewName.COMBINED].average_precision < best_alone - MAX_LOSS:
        raise BundleError(
            f"the views together reach an average precision of {quality[ViewName.COMBINED].average_precision:.4f}, "
            f"one alone {best_alone:.4f}; nothing was published"
        )
    views = {str(name): view for name, (view, _) in fitted.items()}
    threshold = views[ViewName.COMBINED].threshold
    text = card.partition("\n\n## Views\n")[0].rstrip() + SECTION.format(
        papers=len(scores),
        share=float(np.mean(scores.positive)),
        label=manifest.positive_label,
        threshold=threshold,
        rows="\n".join(_row(name, quality[name]) for name in ViewName),
    )
    files = {
        MODEL: bundle.model,
        TOKENIZER: bundle.tokenizer,
        LINEAR: linear,
        CURVES: curves_csv({name: curve for name, (_, curve) in fitted.items()}),
        CARD: text.encode(),
    }
    files[MANIFEST] = replace(
        manifest,
        threshold=threshold,
        views=views,
        view=str(ViewName.COMBINED),
        quality={**manifest.quality, "views": {str(name): _rounded(found) for name, found in quality.items()}},
        files={name: sha256(content) for name, content in files.items()},
    ).to_bytes()
    return Views(bundle=publish(output, files, overwrite=overwrite), quality=quality)


def read_scores(path: Path, papers: LabelledPapers) -> NDArray[np.float32]:
    """Read what `python -m export --scores-out` wrote, for these papers.

    Returns:
        Shape (n,), float32: probabilities of the encoder; NaN where a paper has none.

    Raises:
        InputMissingError: The file is not there.
        InputDataError: It is of other papers.
    """
    try:
        frame = pl.read_parquet(path, columns=["id", "score"])
    except FileNotFoundError as error:
        raise InputMissingError(f"{path}: no such file; write it with --scores-out") from error
    if frame["id"].n_unique() < len(frame) or not frame["id"].is_in(papers.ids).all():
        raise InputDataError(f"{path}: its ids are not those of the papers, once each; score these papers again")
    known = pl.DataFrame({"id": papers.ids}).join(frame, on="id", how="left", maintain_order="left")
    return known["score"].fill_null(float("nan")).to_numpy()


def _row(name: ViewName, quality: ViewQuality) -> str:
    cells = (f"{value:.4f}" for value in asdict(quality).values())
    return f"| {name} | {' | '.join(cells)} |"


def _rounded(quality: ViewQuality) -> dict[str, Any]:
    return {measure: round(value, 6) for measure, value in asdict(quality).items()}


@click.command(name="export.views", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("folder", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option(
    "-o", "--output", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Bundle folder to write."
)
@click.option(
    "--linear",
    "linear_path",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Linear view that python -m ro32.cli.linear wrote.",
)
@click.option(
    "--papers",
    "papers_path",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Parquet file of real papers with categories, that training has not seen.",
)
@click.option(
    "--scores",
    "scores_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The encoder's scores of these papers, as --scores-out wrote them.  [default: score them]",
)
@click.option("--threads", metavar="N", type=click.IntRange(min=1), help="Threads that score.  [default: one per core]")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is already there.")
def command(
    *,
    folder: Path,
    output: Path,
    linear_path: Path,
    papers_path: Path,
    scores_path: Path | None,
    threads: int | None,
    overwrite: bool,
) -> None:
    """Give a bundle a linear view, and fit how it and the encoder become one probability.

    BUNDLE is a folder that python -m export wrote.
    """
    bundle = Bundle.load(folder)
    encoder = Classifier(replace(bundle, manifest=replace(bundle.manifest, views={}, view=None), linear=None))
    papers = read_papers(papers_path, bundle.manifest.positive_label)
    try:
        linear = LinearModel.from_bytes(linear_path.read_bytes())
    except OSError as error:
        raise InputMissingError(f"{linear_path}: cannot be read: {error.strerror}; name a linear view") from error
    if scores_path is None:
        with ProgressDisplay() as display:

            def show(progress: Progress) -> None:
                display.update(**asdict(progress))

            by_encoder = score_all(encoder, papers, threads=threads or available_cores(), on_progress=show)
    else:
        by_encoder = read_scores(scores_path, papers)
    scored = papers.take(np.flatnonzero(np.isfinite(by_encoder)))
    scores = Scores(
        positive=scored.positive,
        encoder=log_odds(by_encoder[np.isfinite(by_encoder)]),
        linear=linear.scores(scored.titles, scored.abstracts),
    )
    card = (folder / CARD).read_text(encoding="utf-8")
    found = add_views(bundle, card, linear.to_bytes(), scores, output=output, overwrite=overwrite)
    click.echo("| view | average precision | F1 | precision | recall | expected calibration error |")
    for name, quality in found.quality.items():
        click.echo(_row(name, quality))
    click.echo(f"{output}: {found.bundle.manifest.name}, {found.bundle.digest}", err=True)


def main() -> NoReturn:
    """Run the command."""
    run(command)


if __name__ == "__main__":
    main()
