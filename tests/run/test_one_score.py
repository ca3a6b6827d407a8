"""A score is a function of the paper and the bundle: by every entrance, after any history, the same bits.

Entrances, thresholds, threads, parts, reuse, resume, and runs with and without `--full` are drawn, one after the other
over the same labels. What each gives is compared with what the classifier says of each paper alone.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ro32
from ro32.cli.process import exit_code_of
from ro32.cli.score import command
from ro32.cluster.worker import Model, Worker
from ro32.data.papers import Columns
from ro32.errors import Interrupted
from ro32.evaluation.explain import explain_papers
from ro32.evaluation.scores import score_with_bundle
from ro32.folder.update import score_folder
from ro32.model.bundle import Bundle, shipped_folder
from ro32.model.bundle_json import MANIFEST
from ro32.model.classifier import Classifier
from ro32.model.operating_point import OperatingPoint
from ro32.model.outcomes import OutcomeIndex
from ro32.model.text import normalize
from ro32.run.job import Settings
from ro32.run.plan import make_plan
from ro32.run.walk import Progress, score_file
from ro32.storage.local_parts import LocalParts

Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One way to score papers.

    Attributes:
        entrance: Name of one of `ENTRANCES`.
        full: By all views, or by the cascade.
        threshold: None is the bundle's.
        threads: Calling threads.
        part_rows: Rows of a part.
        no_reuse: Whether labels that stand there are left alone.
        killed_after: Parts after which a run is killed, and begun again; 0 is not at all.
        order: Of the papers: a seed.
    """

    entrance: str
    full: bool = False
    threshold: float | None = None
    threads: int = 1
    part_rows: int = 1000
    no_reuse: bool = False
    killed_after: int = 0
    order: int = 0


class Scene:
    """A bundle, papers, the scores of these by `Classifier.score`, and a folder in which runs follow each other.

    Args:
        bundle: The bundle's folder.
        papers: The papers.
        folder: An empty folder.
    """

    def __init__(self, bundle: Path, papers: pl.DataFrame, folder: Path) -> None:
        self.bundle, self.papers, self.folder = bundle, papers, folder
        self.expected = {full: self._alone(full=full) for full in (False, True)}

    def _alone(self, *, full: bool) -> Scores:
        """Score each paper for itself."""
        classifier = Classifier.load(self.bundle, full=full)
        texts = self.papers.select(normalize(pl.col("title", "abstract")))
        return np.concatenate(
            [classifier.score([title], [abstract]).outcomes.scores for title, abstract in texts.iter_rows()]
        )

    def check(self, step: Step) -> None:
        """Score the papers in an order, by a step, and compare every bit."""
        rows = np.random.default_rng(step.order).permutation(len(self.papers))
        frame = self.papers[rows]
        frame.write_parquet(self.folder / "papers.parquet")
        classifier = Classifier.load(self.bundle, OperatingPoint(threshold=step.threshold), full=step.full)
        found = ENTRANCES[step.entrance](self, step, classifier, frame)
        expected = self.expected[step.full][rows][: len(found)]  # explanations are of the first papers
        assert len(found) > 0
        assert_same_bits(found, expected)

    @property
    def source(self) -> Path:
        """The papers of a step."""
        return self.folder / "papers.parquet"

    @property
    def labels(self) -> Path:
        """The labels file that runs of all steps write."""
        return self.folder / "labels.parquet"


def assert_same_bits(found: Scores, expected: Scores) -> None:
    missing = np.isnan(expected)
    assert np.array_equal(np.isnan(found), missing)
    assert np.array_equal(found[~missing].view(np.uint32), expected[~missing].view(np.uint32))


def read(labels: Path) -> Scores:
    return pl.read_parquet(labels)["score"].to_numpy()


def by_command(scene: Scene, step: Step, _classifier: Classifier, _frame: pl.DataFrame) -> Scores:
    args = [str(scene.source), "-o", str(scene.labels), "--bundle", str(scene.bundle), "--quiet"]
    args += ["--threads", str(step.threads), "--part-rows", str(step.part_rows), "--max-unscored", "1"]
    args += ["--max-drift", "1"]
    args += ["--threshold", str(step.threshold)] if step.threshold is not None else []
    args += [flag for flag, given in (("--full", step.full), ("--no-reuse", step.no_reuse)) if given]
    assert exit_code_of(command, args) == 0
    return read(scene.labels)


def by_score_file(scene: Scene, step: Step, classifier: Classifier, _frame: pl.DataFrame) -> Scores:
    run = partial(score_file, scene.source, scene.labels, classifier=classifier, settings=settings_of(step))
    with suppress(Interrupted):
        run(on_progress=stop_after(step.killed_after))
    run()
    return read(scene.labels)


def by_score_folder(scene: Scene, step: Step, classifier: Classifier, frame: pl.DataFrame) -> Scores:
    """Write two files, cut at another row each time: labels that stand there are unchanged, reused, or neither."""
    cut = 1 + step.order % (len(frame) - 1)
    dump, labels = scene.folder / "dump", scene.folder / "labels"
    dump.mkdir(exist_ok=True)
    for name, part in (("a.parquet", frame[:cut]), ("b.parquet", frame[cut:])):
        part.write_parquet(dump / name)
    run = partial(score_folder, dump, labels, classifier=classifier, settings=settings_of(step))
    with suppress(Interrupted):
        run(on_progress=stop_after(step.killed_after))
    run()
    return np.concatenate([read(labels / name) for name in ("a.parquet", "b.parquet")])


def by_expression(_scene: Scene, step: Step, classifier: Classifier, frame: pl.DataFrame) -> Scores:
    return frame.lazy().select(ro32.score(classifier=classifier, threads=step.threads)).collect()["score"].to_numpy()


def by_predict_proba(_scene: Scene, step: Step, classifier: Classifier, frame: pl.DataFrame) -> Scores:
    probabilities = classifier.predict_proba(
        titles=frame["title"].to_list(), abstracts=frame["abstract"].to_list(), threads=step.threads
    )
    return np.ascontiguousarray(probabilities[:, classifier.manifest.positive_index])


def by_explanation(scene: Scene, step: Step, classifier: Classifier, _frame: pl.DataFrame) -> Scores:
    plan = make_plan([scene.source], Columns(), step.part_rows)
    found = explain_papers(classifier, plan, 1, threads=step.threads)
    return np.array([explanation.score for explanation in found], dtype=np.float32)


def by_evaluation(scene: Scene, step: Step, classifier: Classifier, _frame: pl.DataFrame) -> Scores:
    found = score_with_bundle([str(scene.source)], classifier, "it", columns=Columns(), threads=step.threads)
    return found.values


def by_workers(scene: Scene, step: Step, classifier: Classifier, _frame: pl.DataFrame) -> Scores:
    """An actor of the Ray engine, called in this process."""
    model = Model(
        bundle=Bundle.load(scene.bundle),
        full=step.full,
        decision=classifier.decision,
        scoring_digest=classifier.scoring_digest,
        threads=step.threads,
    )
    plan, worker = make_plan([scene.source], Columns(), step.part_rows), Worker(model)
    with tempfile.TemporaryDirectory() as name:
        folder = LocalParts(Path(name) / "labels.parquet", "run")
        folder.create()
        saved = [worker.score(replace(plan, parts=(part,)), folder, OutcomeIndex()) for part in plan.parts]
        return np.concatenate([read(folder.path / part.name) for part in saved])


ENTRANCES: dict[str, Callable[[Scene, Step, Classifier, pl.DataFrame], Scores]] = {
    "ro32-score": by_command,
    "score_file": by_score_file,
    "score_folder": by_score_folder,
    "ro32.score": by_expression,
    "predict_proba": by_predict_proba,
    "ro32-score --explain": by_explanation,
    "ro32-eval --bundle": by_evaluation,
    "ray": by_workers,
}


def settings_of(step: Step) -> Settings:
    return Settings(
        threads=step.threads, part_rows=step.part_rows, no_reuse=step.no_reuse, max_unscored=1.0, max_drift=1.0
    )


def stop_after(parts: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.parts_done == parts > 0:
            raise Interrupted(15)

    return stop


def sample(papers: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Short papers; one has no text, and two have the same."""
    short = papers.select("id", "title", pl.col("abstract").str.slice(0, 300)).gather_every(len(papers) // rows)
    blank = short.head(1).with_columns(id=pl.lit("blank"), title=pl.lit(None, pl.String), abstract=pl.lit(""))
    return pl.concat([short.head(rows), blank, short.head(1).with_columns(id=pl.lit("again"))])


@pytest.fixture(scope="session")
def audited_bundle(cascade_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose audit takes every fifth paper below the cut."""
    manifest = Bundle.load(cascade_bundle).manifest
    assert manifest.cascade is not None
    folder = tmp_path_factory.mktemp("audited") / "bundle"
    folder.mkdir()
    for file in cascade_bundle.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    audited = replace(manifest, cascade=replace(manifest.cascade, audit_share=0.2))
    (folder / MANIFEST).write_bytes(audited.to_bytes())
    return folder


@pytest.fixture(scope="session")
def tiny(audited_bundle: Path, papers: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Papers of which some are screened, some audited, and some above the cut."""
    scene = Scene(audited_bundle, sample(papers, 40), tmp_path_factory.mktemp("one_score"))
    texts = scene.papers.select(normalize(pl.col("title", "abstract")))
    scored = Classifier.load(audited_bundle).score(texts["title"].to_list(), texts["abstract"].to_list())
    assert scored.audited > 1
    assert 1 < scored.outcomes.screened.sum() < len(scene.papers) - scored.audited - 1
    return scene


steps = st.builds(
    Step,
    entrance=st.sampled_from(list(ENTRANCES)),
    full=st.booleans(),
    threshold=st.sampled_from([None, 0.01, 0.3, 0.9]),
    threads=st.integers(1, 3),
    part_rows=st.sampled_from([1, 7, 20, 1000]),
    no_reuse=st.booleans(),
    killed_after=st.integers(0, 3),
    order=st.integers(0, 3),
)


@settings(deadline=None, max_examples=8)
@given(history=st.lists(steps, min_size=1, max_size=5))
def test_a_paper_has_one_score(tiny: Scene, history: Sequence[Step]) -> None:
    """Labels of all examples stand in the same folder, so each history goes on where the last one ended."""
    for step in history:
        tiny.check(step)


def walk() -> Iterator[Step]:
    """Go in by each entrance with and without the screen, each time with other threads, parts and thresholds."""
    for number, (full, entrance) in enumerate(product((False, True, False), ENTRANCES)):
        yield Step(
            entrance=entrance,
            full=full,
            threshold=(None, 0.02, 0.9)[number % 3],
            threads=1 + number % 2,
            part_rows=(3, 1000)[number % 2],
            killed_after=number % 4,
            order=number,
        )


def test_a_paper_has_one_score_by_the_shipped_bundle(papers: pl.DataFrame, tmp_path: Path) -> None:
    scene = Scene(shipped_folder(), sample(papers, 5), tmp_path)
    for step in walk():
        scene.check(step)


def test_full_scoring_is_another_model(tiny: Scene) -> None:
    """Else the tests above would show nothing."""
    assert not np.array_equal(tiny.expected[True], tiny.expected[False], equal_nan=True)
