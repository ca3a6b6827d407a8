"""Slices: every paper counted once, and errors on the right side."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from export.slices import command, errors, read_labelled, table
from ro32.cli.score import command as score_command
from ro32.errors import InputDataError


@pytest.fixture(scope="module")
def labels(papers_path: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slices") / "labels.parquet"
    arguments = [str(papers_path), "-o", str(path), "--bundle", str(tiny_bundle), "-q"]
    assert CliRunner().invoke(score_command, arguments).exit_code == 0
    return path


def test_groups_add_up_to_all_papers(papers_path: Path, labels: Path) -> None:
    papers = read_labelled(papers_path, labels, "cs.RO")
    rows = [line.strip("| ").split(" | ") for line in table(papers, "year").splitlines()[2:]]
    assert sum(int(row[1].replace(",", "")) for row in rows) == len(papers)
    assert sum(int(row[2]) for row in rows) == papers["truth"].sum()


def test_errors_are_errors_and_the_most_confident_first(papers_path: Path, labels: Path) -> None:
    papers = read_labelled(papers_path, labels, "cs.RO")
    for called in (True, False):
        shown = [line.strip("| ").split(" | ") for line in errors(papers, called=called).splitlines()[2:]]
        found = papers.filter(pl.col("id").is_in([row[1] for row in shown]))
        assert (found["truth"] != called).all()
        assert [row[0] for row in shown] == sorted((row[0] for row in shown), reverse=called)


def test_the_command_prints_five_sections(papers_path: Path, labels: Path) -> None:
    result = CliRunner().invoke(command, [str(labels), "--papers", str(papers_path)])
    assert result.exit_code == 0
    assert result.stdout.count("### ") == 5


def test_another_files_labels_are_refused(papers_path: Path, labels: Path, tmp_path: Path) -> None:
    pl.read_parquet(papers_path).reverse().write_parquet(tmp_path / "other.parquet")
    pl.read_parquet(labels).write_parquet(tmp_path / "plain.parquet")  # without the footer
    with pytest.raises(InputDataError, match="in their order"):
        read_labelled(tmp_path / "other.parquet", labels, "cs.RO")
    with pytest.raises(InputDataError, match="not a labels file"):
        read_labelled(papers_path, tmp_path / "plain.parquet", "cs.RO")
