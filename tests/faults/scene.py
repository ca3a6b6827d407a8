"""Where a fault strikes: an input, and a target's folder in a known state."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ro32.errors import Interrupted
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.text import content_hash
from ro32.run.job import Settings
from ro32.run.walk import Progress, Summary, score_file

PART_ROWS = 4
MAX_UNSCORED = 0.5
FOREIGN = "0123456789abcdef0123456789abcdef"
"""The fingerprint of another input, whose parts a run must neither take nor keep."""


class State(StrEnum):
    """What stands in the target's folder when a run begins."""

    EMPTY = "empty"
    """Nothing."""
    USED = "used"
    """Yesterday's labels of some of the papers, a part that a killed run has finished, and what older ones left."""


class Recorder(Classifier):
    """A classifier that notes which texts it was asked about."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.asked: list[bytes] = []

    def encode(self, title: str, abstract: str) -> list[int]:
        """Note a paper, and encode it."""
        self.asked.append(content_hash(title, abstract))
        return super().encode(title, abstract)


def make_papers(source: Path) -> pl.DataFrame:
    """Return 14 rows: short real papers, among them one without text, and one text under two ids."""
    papers = pl.read_parquet(source, columns=["id", "title", "abstract"])
    short = papers.sort(pl.col("abstract").str.len_chars(), "id").slice(10, 12)
    blank = pl.DataFrame({"id": ["without text"], "title": [" "], "abstract": [None]}, schema=papers.schema)
    return pl.concat([short.head(6), blank, short.tail(6), short.head(1).with_columns(id=pl.lit("again"))])


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place to run in, many times, each time from the same state.

    Attributes:
        folder: All below is in it; an absolute path without links.
        bundle: The model's folder.
        classifier: The same model, for runs in this process.
        expected: The labels of a run that nothing disturbed.
    """

    folder: Path
    bundle: Path
    classifier: Recorder
    expected: pa.Table

    @classmethod
    def make(cls, folder: Path, *, bundle: Path, papers: pl.DataFrame, state: State) -> Self:
        """Make a scene in a folder that is there and empty."""
        folder, classifier = folder.resolve(), Recorder(Bundle.load(bundle))
        for name in ("in", "undisturbed", "out"):
            (folder / name).mkdir()
        papers_path, undisturbed = folder / "in" / "papers.parquet", folder / "undisturbed" / "labels.parquet"
        pq.write_table(papers.to_arrow(), papers_path, write_page_checksum=True, row_group_size=10)
        score(papers_path, undisturbed, classifier)
        scene = cls(folder=folder, bundle=bundle, classifier=classifier, expected=pq.read_table(undisturbed))
        if state is State.USED:
            scene._use(papers)
        scene.target.parent.rename(scene.template)
        return scene

    @property
    def input(self) -> Path:
        """The input file. It is written once, so that parts of one run are those of another."""
        return self.folder / "in" / "papers.parquet"

    @property
    def target(self) -> Path:
        """The labels file."""
        return self.folder / "out" / "labels.parquet"

    @property
    def parts(self) -> Path:
        """The folder of finished parts."""
        return self.target.with_name(f".{self.target.name}.parts")

    @property
    def template(self) -> Path:
        """What the target's folder holds when a run begins."""
        return self.folder / "template"

    @property
    def before(self) -> bytes | None:
        """The labels that every run finds; None where there are none."""
        path = self.template / self.target.name
        return path.read_bytes() if path.exists() else None

    @property
    def args(self) -> Sequence[str]:
        """The command line of a run."""
        return [
            *(str(self.input), "--output", str(self.target), "--bundle", str(self.bundle), "--threads", "1"),
            *("--part-rows", str(PART_ROWS), "--max-unscored", str(MAX_UNSCORED)),
        ]

    def restore(self) -> None:
        """Put the target's folder back into its state."""
        shutil.rmtree(self.target.parent, ignore_errors=True)
        shutil.copytree(self.template, self.target.parent)

    def run_again(self) -> Summary:
        """Do in this process what the command line of `args` does; the classifier notes what it is asked."""
        self.classifier.asked.clear()
        return score(self.input, self.target, self.classifier)

    def _use(self, papers: pl.DataFrame) -> None:
        """Let earlier runs have been here."""
        yesterday = self.folder / "in" / "yesterday.parquet"
        first = pl.int_range(pl.len()) == 0
        changed = pl.when(first).then(pl.col("title") + "!").otherwise(pl.col("title"))
        papers.slice(5, 5).with_columns(title=changed).write_parquet(yesterday)
        score(yesterday, self.target, self.classifier)

        def stop(progress: Progress) -> None:
            if progress.parts_done == 1:
                raise Interrupted(15)

        with suppress(Interrupted):
            score(self.input, self.target, self.classifier, stop)
        foreign = self.parts / FOREIGN
        foreign.mkdir()
        shutil.copy(next(self.parts.glob("*/*.parquet")), foreign)
        self.target.with_name(f".{self.target.name}.01234567.tmp").write_bytes(b"PAR1")


def score(
    papers: Path, target: Path, classifier: Classifier, on_progress: Callable[[Progress], None] = lambda _: None
) -> Summary:
    """Score papers in this process, as the command line of a scene does."""
    settings = Settings(threads=1, part_rows=PART_ROWS, max_unscored=MAX_UNSCORED)
    return score_file([str(papers)], target, classifier=classifier, settings=settings, on_progress=on_progress)
