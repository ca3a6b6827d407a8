"""The timer of docs/fresh.md: its script refreshes, keeps what is no worse, and systemd takes its units."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ro32.model.bundle import Bundle
from tests.docs.place import write_programs
from tests.docs.tables import DOCS
from tests.refresh.conftest import make_papers

PAGE = (DOCS / "fresh.md").read_text(encoding="utf-8")


@pytest.fixture
def script(tmp_path: Path, python: Path) -> Path:
    """The script as the page shows it, on a machine whose /opt and /srv are a folder."""
    write_programs(tmp_path / "bin", python)
    (text,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "bin" / "ro32-monthly"
    path.write_text(text.replace("/opt/ro32/bin", str(tmp_path / "bin")).replace("/srv/arxiv", str(tmp_path / "srv")))
    path.chmod(0o755)
    return path


def test_the_script_refreshes_once_and_then_finds_nothing_better(script: Path, parent: Path, tmp_path: Path) -> None:
    current, bundles = tmp_path / "srv" / "current", tmp_path / "srv" / "bundles"
    shutil.copytree(parent, current)
    make_papers(12_000, seed=2).write_parquet(tmp_path / "srv" / "papers.parquet")
    for _ in range(2):
        done = subprocess.run([script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (month,) = bundles.iterdir()
        assert Bundle.load(month).digest == Bundle.load(current).digest
        assert Bundle.load(current).manifest.source["refresh"]["parent"] == Bundle.load(parent).digest
    assert "nothing was published" in done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_accepts_the_units(script: Path, tmp_path: Path) -> None:
    names = re.findall(r"^`/etc/systemd/system/([\w.-]+)`", PAGE, re.MULTILINE)
    for name, text in zip(names, re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL), strict=True):
        (tmp_path / name).write_text(text.replace("/opt/ro32/bin/ro32-monthly", str(script)))
    assert len(names) == 2
    for name in names:
        done = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False
        )
        ours = [line for line in done.stderr.splitlines() if "ro32" in line and "ro32-failed" not in line]
        assert (done.returncode, ours) == (0, [])
