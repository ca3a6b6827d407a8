"""docs/cluster.md: its command for a cluster works as it is written, but for the address."""

import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from ray.cluster_utils import Cluster

from tests.command_line import Score
from tests.docs.tables import DOCS

PAGE = (DOCS / "cluster.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ro32-score (.*--engine ray.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_the_page_works(
    score: Score, cluster: Cluster, papers: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """It asks for more actors than this cluster has room for, and makes do with those that there is room for."""
    monkeypatch.chdir(tmp_path)
    Path("dump").mkdir()
    papers.head(20).write_parquet("dump/papers.parquet")
    done = score(*shlex.split(command.replace("10.0.0.5:6379", str(cluster.address))))
    assert done.code == 0, done.stderr
    assert pl.read_parquet("labels/papers.parquet")["id"].to_list() == papers["id"].head(20).to_list()


def test_the_page_has_one() -> None:
    assert len(COMMANDS) == 1
