"""Titles and abstracts of the papers that the report shows, read in a second pass."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from ro32.data import sources
from ro32.data.categories import split_categories
from ro32.data.dates import ARXIV_ID
from ro32.evaluation.truth import TruthColumns
from ro32.model.text import normalize
from ro32.run.inputs import find_files

_ABSTRACT_CHARS = 3_000  # shown; arXiv's own limit is 1,920, and a damaged row is no reason for a page of megabytes
_TITLE_CHARS = 500


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper as a person wants to see it, its primary category first.

    Title and abstract have their white space collapsed, are no longer than what is scored, and empty if missing.
    """

    id: str
    title: str
    abstract: str
    categories: tuple[str, ...]

    @property
    def shown_title(self) -> str:
        """The title, cut if it is very long."""
        return _cut(self.title, _TITLE_CHARS)

    @property
    def shown_abstract(self) -> str:
        """The abstract, cut if it is very long."""
        return _cut(self.abstract, _ABSTRACT_CHARS)

    @property
    def url(self) -> str | None:
        """Address of the paper on arXiv; None if its id is none of arXiv's."""
        return f"https://arxiv.org/abs/{self.id}" if re.fullmatch(ARXIV_ID, self.id) else None


def read_details(inputs: Sequence[str], rows: Iterable[int], columns: TruthColumns) -> Mapping[int, Paper]:
    """Read the papers at some positions of a dump, by row; what is missing of title and abstract is empty.

    Raises:
        InputDataError: A file is damaged.
    """
    wanted = np.unique(np.fromiter(rows, dtype=np.int64))
    papers: dict[int, Paper] = {}
    first_of_file = 0
    for path in find_files(inputs):
        found = sources.survey(path)
        texts = [name for name in (columns.title, columns.abstract) if found.schema.names.count(name) == 1]
        ours = wanted[(wanted >= first_of_file) & (wanted < first_of_file + found.rows)] - first_of_file
        if len(ours):
            names, lists = list(dict.fromkeys([*columns.needed, *texts])), [columns.categories]
            for start, batch in sources.read_batches(path, names, from_row=int(ours[0]), lists=lists):
                at = ours[(ours >= start) & (ours < start + batch.num_rows)]
                if len(at):
                    papers |= zip((at + first_of_file).tolist(), _papers(batch.take(at - start), columns), strict=True)
                if start + batch.num_rows > ours[-1]:
                    break
        first_of_file += found.rows
    return papers


def _papers(batch: pa.RecordBatch, columns: TruthColumns) -> list[Paper]:
    frame = pl.DataFrame({name: pl.Series(batch.column(name)) for name in batch.schema.names})
    texts = {
        name: normalize(pl.col(column)) if column in frame.columns else pl.lit("")
        for name, column in (("title", columns.title), ("abstract", columns.abstract))
    }
    shown = frame.select(
        id=pl.col(columns.id).cast(pl.String),
        categories=split_categories(frame[columns.categories], "the papers"),
        **texts,
    )
    return [
        Paper(
            id=row["id"] or "",
            title=row["title"],
            abstract=row["abstract"],
            categories=tuple(filter(None, row["categories"])),
        )
        for row in shown.iter_rows(named=True)
    ]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]} …"
