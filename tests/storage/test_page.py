"""docs/scale.md: the commands that it gives for one machine work as they are written, over files and object stores."""

import re
import shlex
from collections.abc import Callable
from importlib.metadata import metadata
from pathlib import Path

import polars as pl
import pytest
from packaging.requirements import Requirement

from tests.command_line import Score
from tests.docs.tables import DOCS
from tests.storage.bucket import Bucket

PAGE = (DOCS / "scale.md").read_text(encoding="utf-8")
COMMANDS = [
    line[2:]
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
SCORINGS = [command for command in COMMANDS if command.startswith("ro32-score ")]


def test_every_command_of_the_page_is_known_to_a_test() -> None:
    """Those in blocks of text are for clusters, and `tests/docs/test_cluster.py` and `tests/cluster` have them."""
    assert set(COMMANDS) - set(SCORINGS) == {"pip install 'ro32[cloud]'"}
    assert len(SCORINGS) == 12


@pytest.mark.parametrize("extra", re.findall(r"^(?:\$ )?pip install 'ro32\[(\w+)\]'$", PAGE, re.MULTILINE))
def test_what_is_to_be_installed_is_an_extra(extra: str) -> None:
    brought = [Requirement(text) for text in metadata("ro32").get_all("Requires-Dist") or ()]
    assert any(item.marker and item.marker.evaluate({"extra": extra}) for item in brought)
    assert extra in {"cloud", "ray"}


@pytest.mark.drawn(6)
@pytest.mark.parametrize("command", SCORINGS)
def test_a_command_of_the_page_works(
    score: Score,
    source: Path,
    make_bucket: Callable[[str], Bucket],
    s3_server: str,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    """What stands for another server is replaced by the one at hand."""
    monkeypatch.chdir(source.parent)
    bucket = make_bucket("arxiv")
    bucket.put("dump/papers.parquet", source)
    bucket.put("papers.parquet", source)
    Path("dump").mkdir()
    source.rename("dump/papers.parquet")
    assert score("dump/", "-o", bucket.url("labels.parquet")).code == 0
    command = command.replace("https://minio.example.org:9000", s3_server)
    command = command.replace("https://example.org", f"{s3_server}/arxiv")
    done = score(*shlex.split(command)[1:])
    assert done.code == 0, done.stderr
    assert "5 papers" in done.stderr or "papers      5 in 1 file" in done.stdout
    assert "f00" not in done.stderr


def test_the_labels_of_a_folder_are_one_table(score: Score, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (reading,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "scan_parquet" in block)
    monkeypatch.chdir(source.parent)
    assert score(source, "-o", "labels/").code == 0
    names: dict[str, pl.LazyFrame] = {}
    exec(compile(reading, "scale.md", "exec"), names)  # noqa: S102 - it is the documentation's own code
    assert names["labels"].collect()["id"].to_list() == pl.read_parquet(source)["id"].to_list()
