"""Makes a dump of any size from real papers: each is taken again and again under new ids, one word changed.

So lengths, words and categories are those of arXiv. No two texts are equal, so no paper can reuse another's score.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

SHARES = Path(__file__).parent / "archive_shares.csv"
"""Papers by archive that arXiv announced on 1 and 4 December 2025: columns archive, papers, share."""
MIX_ROWS = 4_000
COLUMNS = ("id", "title", "abstract", "categories")
ROWS_PER_GROUP = 50_000


def read_drawn(path: Path) -> pl.DataFrame:
    """Read papers of a file, without those that our samples hold more of than chance would give."""
    papers = pl.read_parquet(path)
    return papers.filter(~pl.col("oversampled")) if "oversampled" in papers.columns else papers


def in_todays_mix(papers: pl.DataFrame) -> pl.DataFrame:
    """Return `MIX_ROWS` papers whose primary archives have the shares that they have on arXiv today.

    Of an archive with too few papers each is taken several times; one without papers is skipped.
    """
    archives = pl.col("categories").str.extract(r"^([a-z-]+)")
    chosen = []
    for archive, _, share in pl.read_csv(SHARES).iter_rows():
        found, rows = papers.filter(archives == archive), round(share * MIX_ROWS)
        if len(found):
            chosen.append(found[np.arange(rows) % len(found)])
    return pl.concat(chosen)


def make_dump(papers: Path, target: Path, *, rows: int, seed: int) -> None:
    """Write a dump of so many rows as Parquet; a longer one of the same seed begins with the rows of a shorter one."""
    source = pl.read_parquet(papers, columns=list(COLUMNS)).fill_null("")
    schema = pa.schema([(name, pa.large_string()) for name in COLUMNS])
    with pq.ParquetWriter(target, schema, compression="zstd", write_page_checksum=True) as writer:
        for start in range(0, rows, ROWS_PER_GROUP):
            writer.write_table(_group(source, seed, start).head(rows - start).to_arrow().cast(schema))


def _group(source: pl.DataFrame, seed: int, start: int) -> pl.DataFrame:
    """Return the papers of one row group, which follow from its place alone."""
    taken = source[np.random.default_rng([seed, start]).integers(len(source), size=ROWS_PER_GROUP)]
    number = pl.Series(np.arange(start, start + ROWS_PER_GROUP))
    return taken.with_columns(
        # Ten digits after a dot: of the form of arXiv's own ids, and none of them is one.
        pl.format("0000.{}", number.cast(pl.String).str.zfill(10)).alias("id"),
        # The last word gives way to one that occurs nowhere else.
        pl.format("{} w{}", pl.col("abstract").str.replace(r"\S+\s*$", "").str.strip_chars_end(), number).alias(
            "abstract"
        ),
    )
