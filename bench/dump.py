"""Makes a dump of any size from real papers: each is taken again and again under new ids, one word changed.

So lengths, words and categories are those of arXiv, and no two texts are equal: nothing is saved by knowing the other.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("id", "title", "abstract", "categories")
ROWS_PER_GROUP = 50_000


def make_dump(papers: Path, target: Path, *, rows: int, seed: int, first: int = 0) -> None:
    """Write a dump, Parquet or, when the target ends with .json, the JSON lines of the Kaggle snapshot.

    Args:
        papers: Parquet file of real papers.
        target: File to write.
        rows: Papers in it.
        seed: Chooses which paper is taken for which row, and where its changed word is.
        first: Number of the first row: dumps of one seed with ranges that overlap share the papers of the overlap.
    """
    source = pl.read_parquet(papers, columns=list(COLUMNS)).fill_null("")
    frames = _frames(source, rows=rows, seed=seed, first=first)
    if target.suffix == ".json":
        with target.open("w", encoding="utf-8") as file:
            for frame in frames:
                file.writelines(json.dumps(_as_snapshot(row)) + "\n" for row in frame.iter_rows(named=True))
        return
    schema = pa.schema([(name, pa.large_string()) for name in COLUMNS])
    with pq.ParquetWriter(target, schema, compression="zstd", write_page_checksum=True) as writer:
        for frame in frames:
            writer.write_table(frame.to_arrow().cast(schema))


def _frames(source: pl.DataFrame, *, rows: int, seed: int, first: int) -> Iterator[pl.DataFrame]:
    for start in range(first - first % ROWS_PER_GROUP, first + rows, ROWS_PER_GROUP):
        # A group's papers follow from its number alone.
        rng = np.random.default_rng([seed, start])
        taken = source[rng.integers(len(source), size=ROWS_PER_GROUP)]
        number = pl.Series(np.arange(start, start + ROWS_PER_GROUP))
        group = taken.with_columns(
            # Ten digits after a dot: of the form of arXiv's own ids, and none of them is one.
            pl.format("0000.{}", number.cast(pl.String).str.zfill(10)).alias("id"),
            # The last word gives way to one that occurs nowhere else.
            pl.format("{} w{}", pl.col("abstract").str.replace(r"\S+\s*$", "").str.strip_chars_end(), number).alias(
                "abstract"
            ),
        )
        skipped = max(first - start, 0)
        yield group.slice(skipped, min(start + ROWS_PER_GROUP, first + rows) - start - skipped)


def _as_snapshot(row: dict[str, str]) -> dict[str, object]:
    """Return a paper as the snapshot has it: more fields, an abstract that begins with two spaces and is wrapped."""
    words, lines = row["abstract"].split(" "), [""]
    for word in words:
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < 80 else [lines[-1], word]  # noqa: PLR2004
    return {
        "id": row["id"],
        "submitter": "",
        "authors": "",
        "title": row["title"],
        "comments": None,
        "categories": row["categories"],
        "abstract": "  " + "\n".join(lines) + "\n",
        "update_date": "2019-12-31",
    }
