"""The benchmark of plan and commit writes real labels, and tells what the driver needs for each thousand files."""

import json
from pathlib import Path

import polars as pl
import pytest

from bench import plan


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    plan.make_files(tmp_path / "dump", files=3, rows=20)
    return tmp_path / "dump"


def test_a_dump_has_ids_of_its_own(dump: Path) -> None:
    papers = pl.read_parquet(dump / "**" / "*.parquet")
    assert papers["id"].n_unique() == papers.height == 60
    linked = plan.link_first(dump, dump.with_name("linked"), 2)
    names = sorted(path.relative_to(linked) for path in linked.rglob("*.parquet"))
    assert names == [Path("000/000000.parquet"), Path("000/000001.parquet")]
    assert all((linked / name).samefile(dump / name) for name in names)


@pytest.mark.parametrize("layout", plan.LAYOUTS)
def test_labels_are_complete_and_stand_the_next_time(dump: Path, tmp_path: Path, layout: str) -> None:
    case = {"dump": str(dump), "labels": str(tmp_path / "labels"), "rows": 20, "layout": layout}
    first = plan.label(case)
    labels = pl.read_parquet(tmp_path / "labels" / "**" / "*.parquet")
    assert labels["id"].to_list() == pl.read_parquet(dump / "**" / "*.parquet")["id"].to_list()
    assert labels["content_hash"].n_unique() == 60
    assert set(labels["label"]) == {"other"}
    assert first["stages_s"]["commit"] > 0
    if layout == "folder":
        before = json.loads((tmp_path / "labels" / "_manifest.json").read_text())["files"]
        plan.label(case)
        assert json.loads((tmp_path / "labels" / "_manifest.json").read_text())["files"] == before


def test_sizes_are_compared(tmp_path: Path) -> None:
    section = plan.measure([1, 2], rows=10, work=tmp_path, say=lambda _: None)
    assert set(section.figures) == {"folder", "file"}
    assert set(section.figures["folder"]["2"]) == {"new", "again"}
    assert section.figures["file"]["2"]["new"]["driver_peak_rss_bytes"] > 0
    assert [check.what.partition(" : 1 files, ")[2] for check in section.checks] == [
        "memory of the driver",
        "processor time of plan, reuse and commit for each file",
    ] * 3
    assert list(tmp_path.iterdir()) == []
