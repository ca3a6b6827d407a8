"""What tests share: the sample of real papers, a small real bundle, and the command line in one process."""

import fcntl
import os
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import polars as pl
import pytest
from hypothesis import settings

from ro32.cli.process import exit_code_of
from ro32.cli.score import command as score_command
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import LINEAR, MANIFEST, MODEL, TOKENIZER, sha256
from ro32.model.cascade import Cascade, Certificate
from ro32.model.classifier import Classifier
from ro32.model.processor import available_cores
from ro32.model.views import View
from ro32.run.walk import score_file
from tests.command_line import Invoke, Outcome, Run, Score
from tests.warm import Warm

settings.register_profile("busy", deadline=None)  # a machine that does other work too is slow, not wrong
settings.load_profile("busy")

SEED = os.environ.setdefault("RO32_TEST_SEED", str(secrets.randbelow(1_000_000)))
"""What tests draw from: another sample in each run, one for all its workers. Set it to repeat a run."""
DATA = Path(__file__).parent / "data"
TOGETHER = ("storage", "cluster", "export", "docs", "faults", "train", "refresh")
"""Folders whose tests share something that takes long to make; each runs on one worker, the longest first."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a module, or of a folder that shares more, on one worker.

    pytest-xdist's own marker for that, `xdist_group`, is silently ignored since pytest 9.2 (pytest-xdist 3.8 sets an
    attribute of the test that is gone).
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not every environment of the tests has it

    class ByPlace(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            folder = nodeid.split("/")[1]
            return folder if folder in TOGETHER else nodeid.partition("::")[0]

        def _assign_work_unit(self, node: Any) -> None:
            first = next((name for name in TOGETHER if name in self.workqueue), None)
            if first is not None:
                self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)

    return ByPlace(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start a worker more than there are cores, since tests wait for processes and sockets."""
    return available_cores() + 1


@pytest.hookimpl(trylast=True)  # after the options -m and -k have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep n cases of each test that is marked `drawn(n)`, unless the slow tests run too."""
    if "not full" not in config.option.markexpr:
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("drawn"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out: set[pytest.Item] = set()
    for name, found in cases.items():
        [number] = {marker.args[0] for item in found for marker in item.iter_markers("drawn")}
        left_out.update(random.Random(f"{SEED} {name}").sample(found, max(0, len(found) - number)))
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


def pytest_report_header() -> str:
    """Show how to repeat what was drawn."""
    return f"drawn by RO32_TEST_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Show it again where something failed."""
    if exitstatus:
        terminalreporter.write_line(f"drawn by RO32_TEST_SEED={SEED}; set it to repeat this run")


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that runs the commands as the interpreter does, in processes of their own, without its start-up."""
    with Warm(tmp_path_factory.mktemp("warm")) as warm:
        yield warm.python


@pytest.fixture(scope="session")
def papers_path() -> Path:
    """About 2,000 real arXiv papers."""
    return DATA / "papers.parquet"


@pytest.fixture(scope="session")
def papers(papers_path: Path) -> pl.DataFrame:
    """The first 300 of them, as a frame, with the beginnings of their abstracts: scored in half the time."""
    return pl.read_parquet(papers_path).head(300).with_columns(pl.col("abstract").str.slice(0, 200))


@pytest.fixture(scope="session")
def tiny_bundle() -> Path:
    """A bundle exported from a tiny BERT: all that a real one has, in a hundredth of the time."""
    return DATA / "tiny_bundle"


@pytest.fixture(scope="session")
def classifier(tiny_bundle: Path) -> Classifier:
    """The tiny bundle, loaded."""
    return Classifier.load(tiny_bundle)


@pytest.fixture(scope="session")
def cascade_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder with the shipped linear view, and a cascade that screens half of the sample.

    Its certificate is made up, and says that no label may change; so papers that it loses contradict it.
    """
    plain, shipped = Bundle.load(tiny_bundle), Bundle.shipped()
    assert shipped.linear is not None
    views = {
        "combined": View(intercept=-0.5, encoder=0.6, linear=0.4, threshold=0.3),
        "encoder": View(intercept=-0.5, encoder=0.9, linear=0.0, threshold=0.3),
    }
    certificate = Certificate(
        papers=100_000,
        screened=90_000,
        lost=0,
        gained=0,
        max_share=0.0001,
        bound=0.00003,
        confidence=0.95,
        view="combined",
        threshold=0.3,
        papers_sha256="00",
    )
    files = {MODEL: plain.model, TOKENIZER: plain.tokenizer, LINEAR: shipped.linear}
    files[MANIFEST] = replace(
        plain.manifest,
        name="tiny-cascade",
        views=views,
        view="combined",
        threshold=0.3,
        cascade=Cascade(cut=-11.0, intercept=0.0, linear=0.7, certificate=certificate),
        files={name: sha256(content) for name, content in files.items()},
    ).to_bytes()
    folder = tmp_path_factory.mktemp("cascade") / "bundle"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def malformed() -> Path:
    """Broken Parquet files of the apache/parquet-testing and apache/arrow-testing projects."""
    return DATA / "malformed"


@pytest.fixture(scope="session")
def tiny_labels(classifier: Classifier, papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `ro32-score` writes for all of the sample with the tiny bundle, once a run. Not to be changed."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with (folder / "labels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other workers wait, and find the labels
        if not (folder / "labels.parquet").exists():
            score_file([str(papers_path)], folder / "labels.parquet", classifier=classifier)
    return folder / "labels.parquet"


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Run a command in this process, through the frame that turns errors into exit codes."""

    def call(command: click.Command, args: Sequence[str | Path]) -> Outcome:
        capsys.readouterr()
        code = exit_code_of(command, [str(arg) for arg in args])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def score(invoke: Invoke, tiny_bundle: Path) -> Callable[..., Outcome]:
    """Run `ro32-score` with the tiny bundle."""

    def call(*args: str | Path, bundle: Path = tiny_bundle) -> Outcome:
        return invoke(score_command, [*args, "--bundle", bundle])

    return call


@pytest.fixture
def run(score: Score, tmp_path: Path) -> Run:
    """Label a frame, or the same papers again, with a report run.json and metrics run.prom."""

    def call(frame: pl.DataFrame | None, *args: str | Path) -> Outcome:
        if frame is not None:
            frame.write_parquet(tmp_path / "papers.parquet")
        reports = ("--report", tmp_path / "run.json", "--metrics-file", tmp_path / "run.prom")
        return score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet", *reports, *args)

    return call


@pytest.fixture
def source(papers: pl.DataFrame, tmp_path: Path) -> Path:
    """Five papers."""
    papers.head(5).write_parquet(tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"
