"""Make tests/data/papers.parquet: 2,000 real arXiv papers, small enough to commit.

    python tests/data/make_papers.py --source validation.parquet

No paper is drawn by a random number generator, whose stream may change with a library's version: papers are ranked by
a digest of their ids, which is as good as random and the same everywhere.
"""

import argparse
import hashlib
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

SEED = "ro32 sample 1"
RANDOM_ROWS = 1660
"""Papers drawn without regard to what they are: 19 of them are in cs.RO."""
POSITIVE_ROWS = 300
"""Papers of cs.RO drawn on top of those, so that precision and recall rest on more than 19 papers."""
EXTREME_ROWS = 20
"""Papers of the shortest text, and as many of the longest, on top of those: the ends that truncation meets."""


def draw(papers: pl.DataFrame) -> pl.DataFrame:
    """Draw the sample.

    Args:
        papers: All papers; ids are distinct.

    Returns:
        The sample in the order of `papers`, its columns and `oversampled`: false for the random sample, true for
        what was added on purpose.
    """
    ranked = papers.with_row_index("position").with_columns(
        digest=pl.col("id").map_elements(_digest, return_dtype=pl.String),
        chars=pl.col("title").str.len_chars() + pl.col("abstract").str.len_chars(),
        positive=pl.col("categories").str.split(" ").list.contains("cs.RO"),
    )
    drawn = ranked.sort("digest").head(RANDOM_ROWS)
    added: list[pl.DataFrame] = []
    for rows, pool in (
        (POSITIVE_ROWS, ranked.filter("positive").sort("digest")),
        (EXTREME_ROWS, ranked.sort("chars", "digest")),
        (EXTREME_ROWS, ranked.sort("chars", "digest", descending=[True, False])),
    ):
        added.append(pool.join(pl.concat([drawn, *added]), on="position", how="anti", maintain_order="left").head(rows))
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
    parser.add_argument("--source", type=Path, required=True, help="validation.parquet")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("papers.parquet"))
    options = parser.parse_args()
    write(draw(pl.read_parquet(options.source)), options.output)


if __name__ == "__main__":
    main()
