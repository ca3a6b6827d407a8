"""The wheel, built and installed alone into a fresh environment: what a scoring host has."""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import polars as pl
import pytest

from ro32.data.labels import read_provenance
from tests.docs.shown import shown
from tests.refresh.conftest import make_papers
from tests.smoke.tree import ROOT, copy_tree, run

pytestmark = pytest.mark.smoke

PAPERS = ROOT / "tests" / "data" / "papers.parquet"
MODEL = {
    f"ro32/shipped/{name}"
    for name in ("model.onnx", "tokenizer.json", "linear.safetensors", "bundle.json", "README.md")
}
MAX_WHEEL_BYTES = 30_000_000
"""It has 19.4 MB; the int8 encoder, 23 MB before compression, is most of them."""
ABSENT = ("torch", "transformers", "optimum", "onnx", "sklearn", "scipy", "matplotlib")
"""What training, export and tests install, and a scoring host must do without."""


def without_network() -> list[str]:
    """Return the words that run a command in a network namespace of its own, where the system allows that."""
    words = ["unshare", "--map-root-user", "--net"]
    try:
        allowed = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return words if allowed else []


def lines(beginning: str) -> list[str]:
    """Return the lines of README.md's first section that begin like this."""
    return [item.text for item in shown("README.md") if re.match(beginning, item.text)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as README.md says, in a clone."""
    clone = tmp_path_factory.mktemp("clone")
    copy_tree(clone)
    for line in lines(r".*\.venv/build"):
        run("bash", "-c", line, folder=clone)
    (path,) = (clone / "dist").glob("*.whl")
    return path


class Host:
    """A machine that has the wheel, what the wheel depends on, and nothing else: no network, and none of our variables.

    Args:
        folder: Where to make its environment.
        wheel: What to install.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self._bin = folder / "ro32-env" / "bin"
        for file in (wheel, ROOT / "constraints.txt"):
            shutil.copy(file, folder)
        for line in lines(r"python3 -m venv ro32-env$|ro32-env/bin/pip install "):
            run("bash", "-c", line, folder=folder)
        self._alone = without_network()

    def run(self, command: str, *args: str | Path) -> str:
        """Run one of the environment's commands, as `run` does."""
        dead = "http://127.0.0.1:9"  # for where a namespace is not to be had
        return run(
            *self._alone,
            self._bin / command,
            *args,
            folder=self.folder,
            environment={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "http_proxy": dead, "https_proxy": dead},
        )


@pytest.fixture(scope="module")
def host(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """One host for all tests: making it is most of the time that they take."""
    return Host(tmp_path_factory.mktemp("host"), wheel)


def test_wheel_holds_the_package_and_its_licence_alone(wheel: Path) -> None:
    """Tests, exporter and benchmark stay in the clone."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info = next(name.split("/")[0] for name in names if ".dist-info/" in name)
    data = info.replace(".dist-info", ".data")  # the manual pages
    assert {name.split("/")[0] for name in names} == {"ro32", info, data}
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(names)


def test_wheel_holds_the_model_and_is_small_enough(wheel: Path) -> None:
    """`pip install` is all that a scoring host needs: nothing is fetched later."""
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) >= MODEL
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES


def test_host_has_no_training_packages(host: Host) -> None:
    """Otherwise the next tests would prove nothing."""
    found = host.run("python", "-c", f"from importlib.util import find_spec as f; print([*filter(f, {ABSENT})])")
    assert found.strip() == "[]"


@pytest.mark.parametrize("command", ["ro32-score", "ro32-eval", "ro32-bundle", "ro32-train"])
def test_commands_answer_without_training_packages(host: Host, command: str) -> None:
    """Help and version must not need what the work itself needs."""
    assert host.run(command, "--help").startswith(f"Usage: {command}")
    assert host.run(command, "--version").startswith("ro32, version ")


@pytest.fixture(scope="module")
def labels_path(host: Host) -> Path:
    """The labels of the sample, by the main job as a scoring host does it."""
    path = host.folder / "labels.parquet"
    assert "2,000 papers" in host.run("ro32-score", PAPERS, "-o", path)
    return path


def test_host_scores_the_sample(labels_path: Path) -> None:
    """Every paper has its row, its place and its score."""
    papers, labels = pl.read_parquet(PAPERS), pl.read_parquet(labels_path)
    assert labels.columns == ["id", "label", "score", "error", "content_hash", "screened"]
    assert labels["id"].equals(papers["id"])
    assert labels["error"].null_count() == len(papers)
    assert labels["score"].is_between(0, 1).all()
    assert read_provenance(labels_path) is not None


def test_host_measures_the_labels(host: Host, labels_path: Path) -> None:
    """`ro32-eval` needs no more than `ro32-score`, and the shipped model is a real one."""
    report = host.folder / "report.html"
    found = host.run("ro32-eval", PAPERS, "--labels", labels_path, "--json", "--html", report)
    (measured,) = json.loads(found)["models"]
    assert measured["papers"] == 2000
    assert measured["average_precision"]["value"] > 0.9
    assert "Candidates for a cross-list" in report.read_text(encoding="utf-8")


def test_host_says_what_a_checkpoint_needs(host: Host) -> None:
    """Instead of a trace of Python's."""
    with pytest.raises(AssertionError, match=r"ended with 78:\n.*pip install 'ro32\[train\]'"):
        host.run("ro32-eval", PAPERS, "--checkpoint", host.folder)


def test_host_refreshes_with_one_package_more(host: Host, wheel: Path) -> None:
    """The last test of this host: with the extra `refresh` it makes and refreshes bundles, and scores with them."""
    run(
        host.folder / "ro32-env" / "bin" / "pip",
        *("install", f"{host.folder / wheel.name}[refresh]", "--constraint", "constraints.txt"),
        folder=host.folder,
    )
    found = host.run("python", "-c", f"from importlib.util import find_spec as f; print([*filter(f, {ABSENT[:4]})])")
    assert found.strip() == "[]"
    make_papers(12_000, seed=2).write_parquet(host.folder / "dump.parquet")
    host.run("ro32-bundle", "refresh", "dump.parquet", "--category", "cs.RO", "--new", "-o", "first")
    for words in (["--bundle", "first"], []):
        host.run("ro32-bundle", "refresh", "dump.parquet", "-o", "next", "--overwrite", *words)
    for bundle in ("first", "next"):
        assert "12,000 papers" in host.run("ro32-score", "dump.parquet", "-o", "new.parquet", "--bundle", bundle)
