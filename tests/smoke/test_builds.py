"""Builds of one source tree are equal to the byte, and the wheel scores alike on every Python that it is for."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import polars as pl
import pytest

from tests.smoke.tree import copy_tree

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).parents[2]
PAPERS = ROOT / "tests" / "data" / "papers.parquet"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSIONS = [
    item.rpartition(" ")[2]
    for item in PROJECT["classifiers"]
    if item.startswith("Programming Language :: Python :: 3.")
]


def build(tree: Path, folder: Path, umask: int) -> dict[str, str]:
    """Build sdist and wheel from a tree, and return the digest of each file by name."""
    variables = os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(tree)]
    done = subprocess.run(
        command,
        cwd=tree,
        env=variables,
        umask=umask,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    """Two builds, of two copies that differ in place, times and permissions; the folder is of the second."""
    found = []
    for number, umask in enumerate((0o022, 0o077)):
        place = tmp_path_factory.mktemp(f"build-{number}")
        copy_tree(place / "tree", mode=0o644 if number else 0o600)
        found.append(build(place / "tree", place / "dist", umask))
    return place / "dist", found


def test_two_builds_are_equal(builds: tuple[Path, list[dict[str, str]]]) -> None:
    """Wheel and sdist."""
    _, (one, other) = builds
    assert len(one) == 2
    assert one == other


def test_the_sdist_is_the_project(builds: tuple[Path, list[dict[str, str]]]) -> None:
    """It is enough to run the tests, build the site and build the wheel."""
    folder, _ = builds
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        "LICENSE",
        "NOTICE",
        "CITATION.cff",
        "Dockerfile",
        "mkdocs.yml",
        "Makefile",
        "docs/index.md",
        "pyproject.toml",
    }
    assert needed | {"tests/conftest.py", "ro32/shipped/model.onnx", "docs/man/ro32-score.1"} <= names


def interpreter(version: str) -> str | None:
    """Return a Python of a version that runs, from the path or from pyenv, whose stand-in on the path need not run."""
    places = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    return next((str(place) for place in places if place and runs(place)), None)


def runs(python: str | Path) -> bool:
    return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


@pytest.mark.full
@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_gives_the_same_labels(
    version: str, builds: tuple[Path, list[dict[str, str]]], tmp_path: Path
) -> None:
    """Installed alone, as a scoring host has it; compared with the labels that this Python gives."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    (wheel,) = builds[0].glob("*.whl")
    environment = tmp_path / "venv"
    pl.read_parquet(PAPERS).gather_every(20).write_parquet(tmp_path / "papers.parquet")
    score = ["papers.parquet", "-o", "labels.parquet", "--quiet"]
    for command in (
        [python, "-m", "venv", str(environment)],
        [
            *(str(environment / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
            *("--constraint", str(ROOT / "constraints.txt"), str(wheel)),
        ],
        [str(environment / "bin" / "ro32-score"), *score],
    ):
        done = subprocess.run(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
    assert (environment / "share" / "man" / "man1" / "ro32-score.1").exists()
    (tmp_path / "labels.parquet").rename(tmp_path / "theirs.parquet")
    subprocess.run(
        [sys.executable, "-m", "ro32.cli.score", *score, "--no-reuse"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert pl.read_parquet(tmp_path / "theirs.parquet").equals(pl.read_parquet(tmp_path / "labels.parquet"))
