"""`python -m export.slices`: where labels are right and wrong: by year, category and length, and the worst errors."""

from pathlib import Path
from typing import NoReturn

import click
import polars as pl

from ro32.cli.process import run
from ro32.data.labels import read_provenance
from ro32.errors import InputDataError, InputMissingError
from ro32.model.text import normalize

COLUMNS = ("id", "title", "abstract", "categories", "created")
"""What is read of the papers."""
ERRORS = 10
"""Errors shown each way, the most confident ones."""
CATEGORIES = 12
"""Primary categories shown, those with the most papers that are positive or called so."""
LENGTH_STEP = 300
LONGEST = 1500
"""Papers are grouped by characters of title and abstract, in steps up to the longest, which has no upper bound."""
CHARACTERS = pl.col("title").str.len_chars() + pl.col("abstract").str.len_chars()
"""Characters of a paper, its text being normalized."""


def read_labelled(papers: Path, labels: Path, category: str) -> pl.DataFrame:
    """Join papers with what they were labelled.

    Args:
        papers: Parquet file with the columns of `COLUMNS`.
        labels: A labels file of the same papers.
        category: What makes a paper positive.

    Returns:
        What `judge` returns, of the papers that have a score.

    Raises:
        InputMissingError: A file is not there.
        InputDataError: It is no labels file, or not of these papers.
    """
    try:
        provenance = read_provenance(labels)
        frame = pl.read_parquet(papers, columns=list(COLUMNS))
        scores = pl.read_parquet(labels, columns=["id", "score"])
    except FileNotFoundError as error:
        raise InputMissingError(f"{error.filename}: no such file; name another") from error
    if provenance is None:
        raise InputDataError(f"{labels}: not a labels file of ro32; name its output")
    if not frame["id"].equals(scores["id"]):
        raise InputDataError(f"{labels}: its ids are not those of the papers in their order; score these papers again")
    scored = frame.with_columns(scores["score"]).filter(pl.col("score").is_not_null())
    return judge(scored, threshold=float(provenance["threshold"]), category=category)


def judge(scored: pl.DataFrame, *, threshold: float, category: str) -> pl.DataFrame:
    """Tell which papers were labelled rightly.

    Args:
        scored: Papers with the columns of `COLUMNS` and a score.
        threshold: A paper is called positive when its score is at least this.
        category: A paper is positive when it stands anywhere among its categories.

    Returns:
        The same papers: id, title, categories, score, truth, called, year, primary, characters.
    """
    categories = pl.col("categories").fill_null("").str.split(" ")
    return scored.with_columns(normalize(pl.col("title", "abstract"))).select(
        "id",
        "title",
        "categories",
        "score",
        truth=categories.list.contains(category),
        called=pl.col("score").cast(pl.Float64) >= threshold,
        year=pl.col("created").str.slice(0, 4),
        primary=categories.list.first(),
        characters=CHARACTERS,
    )


def length_group(characters: pl.Expr) -> pl.Expr:
    """Return the least number of characters that papers of the same group have."""
    return pl.min_horizontal(characters // LENGTH_STEP * LENGTH_STEP, pl.lit(LONGEST))


def table(papers: pl.DataFrame, by: str) -> str:
    """Measure each group of papers, as a Markdown table, in the order of the groups.

    Args:
        papers: As `judge` gives them.
        by: Name of the column that groups them.
    """
    hits = (pl.col("truth") & pl.col("called")).sum()
    counts = papers.group_by(by).agg(
        papers=pl.len(), positive=pl.col("truth").sum(), called=pl.col("called").sum(), hits=hits
    )
    lines = [f"| {by} | papers | positive | called | precision | recall | F1 |", "|---|---|---|---|---|---|---|"]
    for row in counts.sort(by).iter_rows(named=True):
        called, positive, found = row["called"], row["positive"], row["hits"]
        measures = (_ratio(found, called), _ratio(found, positive), _ratio(2 * found, called + positive))
        cells = (row[by], f"{row['papers']:,}", f"{positive:,}", f"{called:,}", *measures)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def errors(papers: pl.DataFrame, *, called: bool) -> str:
    """List the most confident errors of one kind, as a Markdown table.

    Args:
        papers: As `judge` gives them.
        called: True for papers called positive that are not; False for positive ones that were missed.
    """
    wrong = papers.filter((pl.col("called") == called) & (pl.col("truth") != called))
    lines = ["| score | id | title | categories |", "|---|---|---|---|"]
    for row in wrong.sort("score", descending=called).head(ERRORS).iter_rows(named=True):
        title = row["title"].replace("|", "\\|")
        lines.append(f"| {row['score']:.4f} | {row['id']} | {title} | {row['categories']} |")
    return "\n".join(lines)


def report(papers: pl.DataFrame, category: str) -> str:
    """Write all of it as Markdown sections."""
    grouped = papers.with_columns(length_group(pl.col("characters")).alias("from"))
    frequent = (
        papers.group_by("primary")
        .agg(count=(pl.col("truth") | pl.col("called")).sum())
        .top_k(CATEGORIES, by=["count", "primary"])
    )
    sections = {
        "By year of the first version": table(papers, "year"),
        "By primary category": table(papers.filter(pl.col("primary").is_in(frequent["primary"].to_list())), "primary"),
        "By length of title and abstract, characters": table(grouped, "from"),
        f"Most confidently called {category}, and not listed there": errors(papers, called=True),
        f"Listed in {category}, and most confidently missed": errors(papers, called=False),
    }
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in sections.items())


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


@click.command(name="export.slices", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("labels", type=click.Path(path_type=Path), metavar="LABELS")
@click.option(
    "--papers", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Papers with categories and dates."
)
@click.option("--category", metavar="NAME", default="cs.RO", show_default=True, help="What is positive.")
def command(*, labels: Path, papers: Path, category: str) -> None:
    """Print where the labels are right and wrong, as Markdown."""
    click.echo(report(read_labelled(papers, labels, category), category))


def main() -> NoReturn:
    """Run the command."""
    run(command)


if __name__ == "__main__":
    main()
