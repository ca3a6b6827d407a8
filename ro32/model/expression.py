"""A Polars expression that scores papers, in data frames and lazy queries."""

from functools import cache

import polars as pl

from ro32.model.classifier import Classifier

_shipped = cache(Classifier.load)


def score(
    title: str | pl.Expr = "title",
    abstract: str | pl.Expr = "abstract",
    *,
    classifier: Classifier | None = None,
    threads: int | None = None,
) -> pl.Expr:
    """Return an expression that gives each paper the probability of the positive label.

    Args:
        title: Column of the titles, or an expression of strings.
        abstract: Column of the abstracts, or an expression of strings.
        classifier: The model; the bundle that comes with ro32 by default, loaded once.
        threads: Calling threads; one per available core by default.

    Returns:
        Float32, named "score": the bits that `ro32-score` writes, and null if that writes null.
    """

    def score_batch(papers: pl.Series) -> pl.Series:
        model = classifier or _shipped()
        titles, abstracts = (papers.struct.field(name).to_list() for name in ("title", "abstract"))
        probabilities = model.predict_proba(titles=titles, abstracts=abstracts, threads=threads)
        return pl.Series("score", probabilities[:, model.manifest.positive_index], nan_to_null=True)

    papers = pl.struct(  # which repeats a literal for each row
        (pl.col(text) if isinstance(text, str) else text).cast(pl.String).alias(name)
        for name, text in (("title", title), ("abstract", abstract))
    )
    return papers.map_batches(score_batch, return_dtype=pl.Float32, is_elementwise=True).alias("score")
