"""Quality by year, category and length, and the worst errors, for the card."""

import polars as pl

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


def judge(scored: pl.DataFrame, *, threshold: float, category: str) -> pl.DataFrame:
    """Mark each paper as labelled rightly or wrongly.

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
