"""`python -m ro32.cli.sample`: select papers from a dump to train an encoder on."""

import io
from pathlib import Path

import click
import polars as pl

from ro32.cli.parameters import HELP, PATH, Count, Number, quiet_option
from ro32.cli.process import run
from ro32.cli.progress import ProgressDisplay
from ro32.cli.target import check_target, write_target
from ro32.data.dates import CREATED, UPDATED
from ro32.storage.files import unchanged
from ro32.train.draw_sample import SampleRecipe, choose_sample, score_out_of_fold
from ro32.train.dump import COLUMNS, Dump
from ro32.train.fit_linear import LinearRecipe, read_features


@click.command(name="ro32.cli.sample", context_settings=HELP)
@click.option("--data", required=True, metavar="FILE", type=PATH, help="Dump to choose from.")
@click.option("-o", "--output", required=True, metavar="FILE", type=PATH, help="Parquet file to write.")
@click.option("--category", metavar="NAME", default=LinearRecipe.category, help="Category of the positive papers.")
@click.option(
    "--hard-negatives",
    metavar="N",
    type=Count(min=1),
    default=SampleRecipe.hard_negatives,
    help="Number of negatives that are hardest for a linear view.",
)
@click.option(
    "--random-negatives",
    metavar="N",
    type=Count(min=0),
    default=SampleRecipe.random_negatives,
    help="Number of further negatives, drawn at random.",
)
@click.option(
    "--category-share",
    metavar="SHARE",
    type=Number(0, 1, min_open=True),
    default=SampleRecipe.category_share,
    help="Maximum share of one primary category among the hard negatives.",
)
@quiet_option
def command(
    *,
    data: Path,
    output: Path,
    category: str,
    hard_negatives: int,
    random_negatives: int,
    category_share: float,
    quiet: bool,
) -> None:
    """Choose the papers to train an encoder on: all positives, the hardest negatives, and some others.

    Each has the log-odds of a linear view that was fitted on other papers, which ro32-train --distillation takes as its
    teacher. 578,351 papers take about 6 GB of memory and four minutes of one core.
    """
    check_target(output, [data])
    with unchanged([data]):
        dump = Dump.open(data)
        with ProgressDisplay(quiet=quiet) as display:
            features = read_features(dump, category, on_rows=display.count(dump.rows))
        teacher = score_out_of_fold(features, LinearRecipe(category=category))
        frames = [frame.select(*COLUMNS, CREATED, UPDATED) for frame in dump.frames()]
    recipe = SampleRecipe(
        hard_negatives=hard_negatives, random_negatives=random_negatives, category_share=category_share
    )
    chosen = choose_sample(pl.concat(frames), features.positive, teacher, recipe)
    buffer = io.BytesIO()
    chosen.write_parquet(buffer)
    write_target(output, buffer.getvalue())
    click.echo(
        f"{len(chosen):,} of {dump.rows:,} papers, {int(features.positive.sum()):,} of them {category}", err=True
    )


if __name__ == "__main__":
    run(command)
