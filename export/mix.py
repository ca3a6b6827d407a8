"""Weights that make validation papers representative of the papers that arXiv gets today.

Available papers come from feeds that prefer some archives. Each paper therefore counts so much that the archives, by
primary category, have the shares that arXiv gives them.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ro32.errors import InputDataError, InputMissingError, one_line
from ro32.evaluation.truth import Truth

RECENT_MONTHS = 24
"""Today's papers are those of so many months before the latest one available."""
FEWEST = 200
"""An archive with fewer papers of today is represented by those of all years."""
UNIT = 1_000
"""What a paper of an archive that has just its share among the available papers counts: weights are whole numbers."""


def read_shares(path: Path) -> dict[str, float]:
    """Read arXiv's mix: a CSV file with the columns archive and share.

    Raises:
        InputMissingError: The file is not there.
        InputDataError: It is something else.
    """
    try:
        frame = pl.read_csv(path).select(pl.col("archive").cast(pl.String), pl.col("share").cast(pl.Float64))
    except FileNotFoundError as error:
        raise InputMissingError(f"{path}: no such file; name a CSV file of archives and their shares") from error
    except pl.exceptions.PolarsError as error:
        raise InputDataError(
            f"{path}: expected the columns archive and share: {one_line(error)}; correct it"
        ) from error
    if frame.null_count().sum_horizontal().item() or not (frame["share"] >= 0).all():
        raise InputDataError(f"{path}: expected a share of 0 or more for each archive, found another; correct it")
    return dict(frame.iter_rows())


def weigh(papers: Truth, shares: dict[str, float], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weigh n papers, of which each stands for `counts` ones, so that they represent today's arXiv, by its shares.

    Returns:
        Shape (n,): 0 for the papers that are neither of today nor needed for an archive that has few of these.
    """
    archives = np.array([category.partition(".")[0] for category in papers.categories])
    recent = papers.month > papers.month.max() - RECENT_MONTHS
    marked = pl.DataFrame({"archive": archives[papers.primary], "recent": recent, "each": counts}).with_columns(
        enough=(pl.col("recent") * pl.col("each")).sum().over("archive") >= FEWEST
    )
    used = pl.col("recent") | ~pl.col("enough")
    weighed = marked.with_columns(
        share=pl.col("archive").replace_strict(shares, default=0.0, return_dtype=pl.Float64),
        used=used,
        count=(used * pl.col("each")).sum().over("archive"),
        total=(pl.col("recent") * pl.col("each")).sum(),
    )
    weight = UNIT * pl.col("share") * pl.col("total") / pl.col("count")
    return weighed.select(pl.when("used").then(weight).otherwise(0).round().cast(pl.Int64)).to_series().to_numpy()
