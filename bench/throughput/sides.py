"""From Parquet to Parquet: what a contestant's process runs."""

from collections.abc import Callable
from pathlib import Path

Run = Callable[[Path, Path, str], None]
"""(papers, output, setting): writes id and score of each paper."""


def open_side(load: str, folder: Path) -> Run:
    """Load "ro32" with a bundle (an empty name: the one that ships), or a peer with a subject's folder."""
    return _open_ours(folder) if load == "ro32" else _open_peer(load, folder)


def _open_ours(folder: Path) -> Run:
    from ro32.model.classifier import Classifier  # noqa: PLC0415 - each side imports what it needs: that is measured
    from ro32.run.job import Settings  # noqa: PLC0415
    from ro32.run.walk import score_file  # noqa: PLC0415

    # Peers see every paper too; `bench cascade` measures the other.
    classifier = Classifier.load(folder if folder.name else None, full=True)
    settings = Settings()

    def run(papers: Path, output: Path, _setting: str) -> None:
        score_file([str(papers)], output, classifier=classifier, settings=settings)

    return run


def _open_peer(load: str, folder: Path) -> Run:
    import polars as pl  # noqa: PLC0415

    from bench.throughput import peers  # noqa: PLC0415

    scorer = getattr(peers, load)(folder)

    def run(papers: Path, output: Path, setting: str) -> None:
        scores = scorer(peers.texts_of(papers), setting)
        pl.read_parquet(papers, columns=["id"]).with_columns(score=pl.Series(scores)).write_parquet(output)

    return run
