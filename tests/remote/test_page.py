"""docs/scale.md: its commands over object stores work as they are written."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import Score
from tests.docs.tables import DOCS
from tests.remote.bucket import Bucket

SECTION = re.search(
    r"\n## Object storage\n(.*?)(?=\n## |\Z)", (DOCS / "scale.md").read_text(encoding="utf-8"), re.DOTALL
)


def commands() -> list[str]:
    assert SECTION is not None
    blocks = re.findall(r"```console\n(.*?)```", SECTION[1], re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_page_has_commands() -> None:
    assert sum(command.startswith("ro32-score ") for command in commands()) == 6


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("ro32-score ")])
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
    assert score(source, "-o", bucket.url("labels.parquet")).code == 0
    command = command.replace("https://minio.example.org:9000", s3_server)
    command = command.replace("https://example.org", f"{s3_server}/arxiv")
    done = score(*shlex.split(command)[1:])
    assert done.code == 0, done.stderr
    assert "5 papers" in done.stderr or "papers      5 in 1 file" in done.stdout
    assert "f00" not in done.stderr
