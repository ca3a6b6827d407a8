"""Names that cannot be meant: empty, of stores that are not supported, too long, or used by the run itself."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

Command = Callable[..., None]


@pytest.fixture
def refused(python: Path, tmp_path: Path, papers: pl.DataFrame, tiny_bundle: Path) -> Command:
    """Check that a command in a process of its own ends with a code, words in its message, and no new file."""
    papers.head(3).write_parquet(tmp_path / "papers.parquet")

    def check(code: int, name: str, *args: str, says: str) -> None:
        before = sorted(tmp_path.rglob("*"))
        bundle = ["--bundle", str(tiny_bundle)] if name == "score" and "--bundle" not in args else []
        done = subprocess.run(
            [str(python), "-m", f"ro32.cli.{name}", *args, *bundle],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=tmp_path,
        )
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        assert sorted(tmp_path.rglob("*")) == before

    return check


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("score", ["papers.parquet", "-o", ""]),
        *(
            ("score", ["papers.parquet", "-o", "labels.parquet", option, ""])
            for option in ("--report", "--reuse", "--bundle", "--config")
        ),
        ("evaluate", ["papers.parquet", "--labels", ""]),
        ("bundles", ["install", "--store", "", "folder"]),
        ("bundles", ["install", ""]),
        ("bundles", ["refresh", "papers.parquet", "-o", ""]),
    ],
)
def test_an_empty_name_is_wrong_usage(refused: Command, name: str, args: list[str]) -> None:
    """As a path it would be the working folder: `-o "$LABELS"` where the variable is not set."""
    refused(2, name, *args, says="found an empty one")


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_a_carriage_return_ends_no_name(refused: Command, option: str) -> None:
    """As of a script with the line ends of Windows: the labels that everybody reads would stay as they were."""
    output = [] if option == "-o" else ["-o", "labels.parquet"]
    refused(2, "score", "papers.parquet", *output, option, "name\r", says=r"'name\r' ends in white space")


@pytest.mark.parametrize("url", ["file:///tmp/a.parquet", "hdfs://host/a.parquet", "S3A://bucket/*.parquet"])
def test_a_url_that_is_not_supported_is_named(refused: Command, url: str) -> None:
    found = f"found {url.partition(':')[0]}://; name a file by its path"
    refused(2, "score", url, "-o", "labels.parquet", says=found)
    refused(2, "score", "papers.parquet", "-o", url, says=found)
    refused(2, "score", "papers.parquet", "-o", "labels.parquet", "--reuse", url, says=found)


@pytest.mark.parametrize("option", ["--report", "--metrics-file", "--bundle"])
def test_what_is_always_local_is_no_url(refused: Command, option: str) -> None:
    args = ["papers.parquet", "-o", "labels.parquet", option, "s3://key:secret@bucket/name"]
    refused(2, "score", *args, says="expected a local path, found s3://bucket/name")


@pytest.mark.parametrize("option", ["--report", "--metrics-file", "--bundle", "--config"])
def test_what_is_always_a_file_is_no_stream(refused: Command, option: str) -> None:
    refused(2, "score", "papers.parquet", "-o", "labels.parquet", option, "-", says="found -, which is no stream here")


def test_an_object_is_not_evaluated(refused: Command) -> None:
    refused(2, "evaluate", "s3://bucket/papers.parquet", says="expected local papers")


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_a_name_without_room_for_a_temporary_one_is_refused_before_scoring(refused: Command, option: str) -> None:
    args = ["papers.parquet", *([] if option == "-o" else ["-o", "labels.parquet"]), option, "é" * 121]
    refused(73, "score", *args, says="choose a shorter name")


def test_so_is_one_in_a_folder_that_is_not_there_yet(refused: Command, tmp_path: Path) -> None:
    (tmp_path / "papers.parquet").rename(tmp_path / f"{'x' * 235}.parquet")
    refused(73, "score", f"{'x' * 235}.parquet", "-o", "labels/", says="choose a shorter name")


@pytest.mark.parametrize("name", [".labels.parquet.lock", ".labels.parquet.parts"])
def test_a_report_takes_no_name_that_the_run_uses(refused: Command, name: str) -> None:
    refused(73, "score", "papers.parquet", "-o", "labels.parquet", "--report", name, says="the run itself uses")


def test_what_is_in_the_place_of_finished_parts_is_named(refused: Command, tmp_path: Path) -> None:
    (tmp_path / ".labels.parquet.parts").touch()
    refused(73, "score", "papers.parquet", "-o", "labels.parquet", says="remove what is in its place")


def test_a_refresh_reads_a_file_of_two_names_once(refused: Command) -> None:
    args = ["papers.parquet", "./papers.parquet", "-o", "fresh", "--new", "--category", "cs.RO"]
    refused(65, "bundles", "refresh", *args, says="counting 3 papers")
