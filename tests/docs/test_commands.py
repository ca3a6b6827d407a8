"""The commands that pages show are run, in the order in which a page shows them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ro32.bundle import Bundle
from tests.docs.commands import ROOT, SCRIPTS
from tests.docs.tables import DOCS

RUN = {
    "index.md": 3,
    "forms.md": 4,
    "threshold.md": 3,
    "bundles.md": 6,
    "evaluate.md": 6,
    "explain.md": 2,
    "install.md": 3,
    "another-category.md": 0,
    "cluster.md": 0,
    "scale.md": 3,
}
"""Commands that are run, by page: no page may lose one unseen."""
ELSEWHERE = {
    r"(/opt/ro32/bin/)?pip install|.*python -m (build|venv)|/opt/ro32": "tests/smoke does it",
    r"docker|man -l": "tests/docs/test_site.py lints and formats them",
    r"ro32-train|python -m export|python -m ro32\.cli\.linear|.*cs\.CV": "tests/export/test_model.py runs the chain",
    r"ro32-bundle install hf:|python -m export\.push": "tests/export/test_push.py has a hub",
    r".*(s3|https)://": "tests/remote/test_page.py has a store",
    r".*--checkpoint": "tests/evaluation/test_checkpoint.py measures one",
}
"""What is not run here, by its beginning, and where it is."""


def commands(page: str) -> list[str]:
    """Return the lines of a page that a shell is given."""
    blocks = re.findall(r"```console\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the package's programs, as an installation has them."""
    folder = tmp_path_factory.mktemp("bin")
    for name, entry in SCRIPTS.items():
        module = entry.partition(":")[0]
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (folder / name).chmod(0o755)
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)
    return folder


@pytest.fixture
def place(papers: pl.DataFrame, tiny_bundle: Path, tmp_path: Path) -> Path:
    """A folder with all that the pages speak of, small."""
    listed = pl.col("categories").str.split(" ").list.contains("cs.RO")
    few = pl.concat([papers.filter(listed).head(15), papers.filter(~listed).head(15)])
    few.write_parquet(tmp_path / "papers.parquet")
    few.write_csv(tmp_path / "papers.csv")
    for name in ("papers.jsonl", "arxiv-metadata-oai-snapshot.json"):
        few.write_ndjson(tmp_path / name)
    for name in ("2023/a.parquet", "2024/a.parquet"):
        (tmp_path / "dump" / name).parent.mkdir(parents=True)
        few.write_parquet(tmp_path / "dump" / name)
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    shutil.make_archive(str(tmp_path / "bundle"), "gztar", tmp_path, "bundle")
    for folder in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("page", RUN)
def test_commands_of_a_page_work(page: str, programs: Path, place: Path, tiny_bundle: Path) -> None:
    variables = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(place),
        "PYTHONPATH": str(ROOT),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    run = 0
    for command in commands(page):
        if any(re.match(beginning, command) for beginning in ELSEWHERE):
            continue
        words = command.replace("0f1e...", Bundle.load(tiny_bundle).digest)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", words],
            cwd=place,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        run += 1
    assert run == RUN[page]


def test_every_page_of_how_to_is_run_or_has_a_test_of_its_own() -> None:
    own = {
        "operations.md",
        "library.md",
        "training.md",
        "export.md",
        "report.md",
        "model.md",
        "faults.md",
        "cascade.md",  # its commands are those of tests/export/test_certify.py and tests/test_cascade.py
        "performance.md",
        "decisions.md",
    }
    assert {path.name for path in DOCS.glob("*.md")} == set(RUN) | own
