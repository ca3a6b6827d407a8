"""Every exit code, provoked in processes of its own that run beside each other: no abort takes its place.

One ending of each code, drawn in each run, uses a fresh interpreter; in `make test-all` all do, many times.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import SEED
from tests.forged import forge

MODULES = {
    "ro32-score": "ro32.cli.score",
    "ro32-eval": "ro32.cli.evaluate",
    "ro32-bundle": "ro32.cli.bundles",
    "ro32-train": "ro32.cli.train",
    "export": "export",
}
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from ro32.cli.train import main; main()"
WITH_A_BUG = "import ro32.cli.score as score; score.spooled = None; score.main()"

ENDINGS: list[tuple[int, str]] = [
    (0, "ro32-score good.parquet -o {own}.parquet --bundle {bundle}"),
    (0, "ro32-eval good.parquet --bundle {bundle} --category {category} -q"),
    (0, "ro32-bundle show {bundle}"),
    (2, "ro32-score good.parquet -o {own}.parquet --threshold 7"),
    (2, "ro32-eval"),
    (2, "ro32-bundle paint"),
    (2, "ro32-train"),
    (65, "ro32-score no-column.parquet -o {own}.parquet --bundle {bundle}"),
    (65, "ro32-score wrong-type.parquet -o {own}.parquet --bundle {bundle}"),
    (65, "ro32-score wrong-type.parquet -o {own}.parquet --bundle {bundle} --status"),
    (65, "ro32-score cut.parquet -o {own}.parquet --bundle {bundle}"),
    (65, "ro32-eval no-column.parquet --bundle {bundle}"),
    (66, "ro32-score nothing.parquet -o {own}.parquet --bundle {bundle}"),
    (66, "ro32-eval nothing.parquet --bundle {bundle}"),
    (66, "ro32-bundle install nothing.tar --store {own}"),
    (73, "ro32-score good.parquet -o nowhere/labels.parquet --bundle {bundle}"),
    (73, "ro32-eval good.parquet --bundle {bundle} --html nowhere/page.html"),
    (73, "ro32-bundle install {bundle} --name a --store /dev/null/store"),
    (74, "ro32-score --version >/dev/full"),
    (74, "ro32-eval --help >/dev/full"),
    (74, "ro32-bundle list >&-"),
    (78, "ro32-score good.parquet -o {own}.parquet --bundle nothing"),
    (78, "ro32-score good.parquet -o {own}.parquet --bundle forged"),
    (78, "ro32-eval good.parquet --bundle forged"),
    (78, "ro32-bundle verify forged"),
]

WITH_TORCH = [
    (66, "ro32-train --data nothing.parquet -o {own}"),
    (2, "export"),
    (65, "export {checkpoint} -o {own} --papers no-column.parquet"),
    (66, "export {checkpoint} -o {own} --papers nothing.parquet"),
    (73, "export {checkpoint} -o nowhere/bundle --papers good.parquet"),
    (78, "export good.parquet -o {own} --papers good.parquet"),
]
"""Each start imports torch, so these are for `make test-all`."""

Ending = Callable[[str, int, str | Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def scene(papers_path: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with papers of each kind."""
    folder = tmp_path_factory.mktemp("scene")
    papers = pq.read_table(papers_path).slice(0, 20)
    pq.write_table(papers, folder / "good.parquet")
    pq.write_table(papers.select(["id", "title"]), folder / "no-column.parquet")
    numbers = papers.select(["id", "title"]).append_column("abstract", pa.array(range(20)))
    pq.write_table(numbers, folder / "wrong-type.parquet")
    (folder / "cut.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-100])
    forge(tiny_bundle, folder / "forged", max_length=0)
    return folder


@pytest.fixture(scope="module")
def ending(scene: Path, tiny_bundle: Path) -> Ending:
    """Run a command line in the scene, `{own}` a name that no other run has."""
    category = pl.read_parquet(scene / "good.parquet")["categories"][0].split()[0]
    checkpoint = tiny_bundle.with_name("tiny_checkpoint")

    def call(line: str, number: int, python: str | Path) -> subprocess.CompletedProcess[str]:
        name, _, rest = line.partition(" ")
        own = f"own-{number}-{abs(hash((line, python)))}"
        rest = rest.format(own=own, bundle=tiny_bundle, checkpoint=checkpoint, category=category)
        command = f"exec {python} -m {MODULES[name]} {rest}"
        paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            ["bash", "-c", command],
            cwd=scene,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return call


def check(line: str, code: int, done: subprocess.CompletedProcess[str]) -> None:
    """Check an ending, and that a sentence names it."""
    assert done.returncode == code, f"{line}: {done.returncode}, {done.stderr[-500:]}"
    assert "Traceback" not in done.stderr
    assert code in {0, 2} or done.stderr.count("\n") == 1


def test_every_ending_is_the_documented_one(python: Path, ending: Ending) -> None:
    for code, line in ENDINGS:
        check(line, code, ending(line, 0, python))


def drawn() -> list[tuple[int, str]]:
    """Return one ending of each code."""
    chance = random.Random(f"{SEED} endings")
    return [
        chance.choice([item for item in ENDINGS if item[0] == code]) for code in sorted({code for code, _ in ENDINGS})
    ]


@pytest.mark.parametrize(
    ("endings", "times"), [(drawn(), 1), pytest.param(ENDINGS + WITH_TORCH, 20, marks=pytest.mark.full)]
)
def test_every_code_is_that_of_a_fresh_interpreter(endings: list[tuple[int, str]], times: int, ending: Ending) -> None:
    runs = [(code, line, number) for number in range(times) for code, line in endings]
    with ThreadPoolExecutor(4) as pool:  # more processes than this machine may have cores: the load beside each
        done = pool.map(lambda run: ending(run[1], run[2], sys.executable), runs)
        for (code, line, _), process in zip(runs, done, strict=True):
            check(line, code, process)


def test_a_missing_package_is_named_with_its_extra(python: Path, scene: Path) -> None:
    command = [str(python), "-c", WITHOUT_TORCH, "--data", str(scene / "good.parquet"), "-o", str(scene / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "pip install 'ro32[train]'" in done.stderr


def test_a_bug_is_reported_as_one(python: Path, scene: Path) -> None:
    command = [str(python), "-c", WITH_A_BUG, str(scene / "good.parquet"), "-o", str(scene / "o.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 70
    assert "please report it" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_by_its_own_code(number: signal.Signals, papers_path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ro32.cli.score", str(papers_path), "-o", str(tmp_path / "o.parquet"), "--full"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number, said
