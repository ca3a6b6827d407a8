"""Make tests/data/papers.parquet and modern_papers.parquet: real arXiv papers, few enough to commit.

    python tests/data/make_papers.py --source validation.parquet --output papers.parquet --rows 2000
    python tests/data/make_papers.py --source modern_validation.parquet --output modern_papers.parquet --rows 1000

No paper is drawn by a random number generator, whose stream may change with a library's version: papers are ranked by
a digest of their ids, which is as good as random and the same everywhere.
"""

import argparse
import hashlib
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

SEED = "ro32 sample 1"
POSITIVE_SHARE = 0.15
"""Of the rows: papers of cs.RO drawn on top of the random ones, so that precision and recall rest on enough of them."""
EXTREME_SHARE = 0.01
"""Papers of the shortest text, and as many of the longest, on top of those: the ends that truncation meets."""


def draw(papers: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Draw the sample.

    Args:
        papers: All papers; ids are distinct.
        rows: Papers to draw.

    Returns:
        The sample in the order of `papers`, its columns and `oversampled`: false for the random sample, true for
        what was added on purpose.
    """
    ranked = papers.with_row_index("position").with_columns(
        digest=pl.col("id").map_elements(_digest, return_dtype=pl.String),
        chars=pl.col("title").str.len_chars() + pl.col("abstract").str.len_chars(),
        positive=pl.col("categories").str.split(" ").list.contains("cs.RO"),
    )
    positives, extremes = round(rows * POSITIVE_SHARE), round(rows * EXTREME_SHARE)
    drawn = ranked.sort("digest").head(rows - positives - 2 * extremes)
    added: list[pl.DataFrame] = []
    for count, pool in (
        (positives, ranked.filter("positive").sort("digest")),
        (extremes, ranked.sort("chars", "digest")),
        (extremes, ranked.sort("chars", "digest", descending=[True, False])),
    ):
        others = pool.join(pl.concat([drawn, *added]), on="position", how="anti", maintain_order="left")
        added.append(others.head(count))
    return (
        pl.concat([drawn.with_columns(oversampled=False), pl.concat(added).with_columns(oversampled=True)])
        .sort("position")
        .select(*papers.columns, "oversampled")
    )


def write(sample: pl.DataFrame, path: Path) -> None:
    """Write the sample as one row group with page checksums; equal bytes for an equal version of pyarrow."""
    pq.write_table(sample.to_arrow(), path, compression="zstd", compression_level=22, write_page_checksum=True)


def _digest(paper_id: str) -> str:
    return hashlib.sha256(f"{SEED}\n{paper_id}".encode()).hexdigest()


def main() -> None:
    """Read the options, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="validation.parquet or modern_validation.parquet")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    options = parser.parse_args()
    write(draw(pl.read_parquet(options.source), options.rows), options.output)


if __name__ == "__main__":
    main()
