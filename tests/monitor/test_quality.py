"""The quality of a night's labels, by the categories that the dump carries: right, for free, and of no harm."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ro32.data.categories import is_listed
from ro32.data.papers import Columns
from ro32.model.bundle import Bundle
from ro32.model.operating_point import Decision
from ro32.monitor import quality
from ro32.monitor.quality import recorded_quality
from ro32.run.newest import Collector
from ro32.run.plan import Plan, Source
from tests.command_line import Run, Score
from tests.docs.tables import check_documented

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def dated(papers: pl.DataFrame) -> pl.DataFrame:
    """A paper a day, the newest first."""
    newest = date(2026, 4, 20)
    days = [(newest - timedelta(days=row)).isoformat() for row in range(len(papers))]
    truth = ["cs.RO cs.AI" if row % 3 == 0 else "math.AG" for row in range(len(papers))]
    return papers.with_columns(created=pl.Series(days), categories=pl.Series(truth))


def report(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text())


def test_figures_are_those_of_the_labels(run: Run, dated: pl.DataFrame, tmp_path: Path) -> None:
    done = run(dated, "--threshold", "0.01")
    assert done.code == 0, done.stderr
    found = report(tmp_path)["quality"]
    check_documented(found, "quality")
    check_documented(found["last_90_days"], "period")
    labels = pl.read_parquet(tmp_path / "labels.parquet").head(90)
    called, listed = (labels["score"] >= 0.01).to_numpy(), np.arange(90) % 3 == 0
    last = found["last_90_days"]
    assert (last["papers"], last["listed"], last["called"], last["right"]) == (
        90,
        30,
        called.sum(),
        (called & listed).sum(),
    )
    assert last["recall"]["value"] == pytest.approx(last["right"] / 30)
    assert last["recall"]["low"] <= last["recall"]["value"] <= last["recall"]["high"]
    assert (last["since"], last["until"]) == ("2026-01-21", "2026-04-20")
    assert (found["newest_day"]["papers"], found["newest_day"]["until"]) == (1, "2026-04-20")
    assert [item["month"] for item in found["by_month"]][-2:] == ["2026-03", "2026-04"]
    assert sum(item["papers"] for item in found["by_month"]) == 300
    assert (
        "compared with the papers' categories, 2026-01-21 to 2026-04-20 (90 papers, 30 listed): precision"
        in done.stderr
    )


def test_reused_scores_are_measured_too(run: Run, dated: pl.DataFrame, tmp_path: Path) -> None:
    run(dated)
    first = report(tmp_path)["quality"]
    assert run(None).code == 0
    again = report(tmp_path)
    assert (again["papers"]["scored"], again["quality"]) == (0, first)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_texts_are_measured_like_parquet(run: Run, dated: pl.DataFrame, tmp_path: Path, suffix: str) -> None:
    run(dated)
    expected = report(tmp_path)["quality"]
    frame = dated.select("id", "title", "abstract", "categories", "created")
    (tmp_path / "papers.parquet").unlink()
    path = tmp_path / f"papers{suffix}"
    _ = frame.write_ndjson(path) if suffix == ".jsonl" else frame.write_csv(path)
    path.rename(tmp_path / "papers.parquet")  # the content decides
    assert run(None).code == 0
    assert report(tmp_path)["quality"] == expected


def test_without_categories_all_is_as_before(run: Run, dated: pl.DataFrame, tmp_path: Path) -> None:
    run(dated)
    labels = pl.read_parquet(tmp_path / "labels.parquet")
    done = run(dated.drop("categories"), "--no-reuse")
    assert (done.code, "papers' categories" in done.stderr, report(tmp_path)["quality"]) == (0, False, None)
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(labels)


def test_a_folder_is_measured_as_far_as_its_labels_are_new(score: Score, dated: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    dated.head(40).write_parquet(tmp_path / "in" / "a.parquet")
    dated.slice(40, 40).drop("categories").write_parquet(tmp_path / "in" / "b.parquet")
    dated.slice(80, 10).write_parquet(tmp_path / "in" / "c.parquet")
    words = (tmp_path / "in", "-o", f"{tmp_path}/out/", "--report", tmp_path / "run.json")
    assert score(*words).code == 0
    assert report(tmp_path)["quality"]["last_90_days"]["papers"] == 50
    assert score(*words).code == 0
    assert report(tmp_path)["quality"] is None  # all labels stayed as they were


def test_damaged_categories_cost_no_label(run: Run, dated: pl.DataFrame, tmp_path: Path) -> None:
    """They are not read to score, so a run that can score goes on."""
    run(dated)
    labels, papers = pl.read_parquet(tmp_path / "labels.parquet"), tmp_path / "papers.parquet"
    pq.write_table(dated.to_arrow(), papers, write_page_checksum=True, use_dictionary=False, compression="none")
    group = pq.read_metadata(papers).row_group(0)
    (chunk,) = (c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "categories")
    content = bytearray(papers.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size - 9] ^= 1
    papers.write_bytes(content)
    done = run(None, "--no-reuse")
    assert (done.code, report(tmp_path)["quality"]) == (0, None), done.stderr
    assert "the labels are not compared with the categories of the papers: " in done.stderr
    assert [item["kind"] for item in report(tmp_path)["warnings"]] == ["not_measured"]
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(labels)


def test_categories_of_a_type_that_is_not_read_cost_no_label(run: Run, dated: pl.DataFrame, tmp_path: Path) -> None:
    numbers = pa.array([Decimal(1)] * len(dated), pa.decimal256(50, 2))  # Polars panics
    table = dated.drop("categories").to_arrow().append_column("categories", numbers)
    pq.write_table(table, tmp_path / "papers.parquet")
    done = run(None)
    assert (done.code, report(tmp_path)["quality"]) == (0, None), done.stderr
    assert [item["kind"] for item in report(tmp_path)["warnings"]] == ["not_measured"]


def test_the_column_has_a_name(run: Run, dated: pl.DataFrame, tmp_path: Path) -> None:
    run(dated)
    expected = report(tmp_path)["quality"]
    lists = dated.with_columns(pl.col("categories").str.split(" ")).rename({"categories": "listed in"})
    assert run(lists, "--categories-column", "listed in").code == 0
    assert report(tmp_path)["quality"] == expected
    done = run(lists, "--categories-column", "listed")
    assert (done.code, "name another with --categories-column" in done.stderr) == (65, True)


def test_a_fresh_process_says_that_the_bundle_has_aged(tmp_path: Path) -> None:
    """The truth turned round, most papers that look like robotics are not listed any more."""
    listed = pl.read_parquet(DATA / "modern_papers.parquet")
    robots = listed["categories"].str.contains("cs.RO")
    listed.with_columns(
        categories=pl.Series(["math.AG" if robot else "cs.RO" for robot in robots.to_list()]),
        created=pl.lit("2026-04-20"),
    ).head(150).write_parquet(tmp_path / "papers.parquet")
    words = ["-m", "ro32.cli.score", "papers.parquet", "-o", "l.parquet", "--report", "run.json"]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "refresh the bundle: ro32-bundle refresh" in done.stderr
    found = report(tmp_path)
    assert (found["quality"]["aged"], [item["kind"] for item in found["warnings"]]) == (True, ["aged"])


def test_chance_and_another_threshold_are_no_reason_to_warn() -> None:
    def estimate(value: float, reach: float) -> dict[str, float]:
        return {"value": value, "low": value - reach, "high": value + reach}

    def fallen(value: float, reach: float, listed: int = 500, **decision: Any) -> list[str]:
        last = {"listed": listed, "average_precision": estimate(value, reach), "f1": estimate(value, reach)}
        recorded = {"average_precision": 0.9, "f1": 0.9, "listed": 500}
        return quality._fallen(last, recorded, Decision(threshold=0.5, **decision))

    assert fallen(0.8, 0.02) == ["average_precision", "f1"]
    assert fallen(0.8, 0.05) == []  # 0.1 is two of its intervals, and of the recorded one as well
    assert fallen(0.95, 0.01) == []
    assert fallen(0.5, 0.01, listed=49) == []
    assert fallen(0.8, 0.02, chosen_by="threshold") == ["average_precision"]
    assert quality._fallen({"listed": 500}, None, Decision(threshold=0.5)) == []


def test_what_bundles_record(tiny_bundle: Path) -> None:
    found = recorded_quality(Bundle.shipped().manifest)
    assert found is not None
    assert 0.9 < found["average_precision"] < 1
    assert recorded_quality(Bundle.load(tiny_bundle).manifest) is None


@pytest.mark.parametrize("years", [range(8, 26), [10, 25, 11, 24, 19]])
def test_only_two_years_are_kept(years: Sequence[int]) -> None:
    """Whatever the order: memory is bounded by what appeared in two years."""
    path = Path("papers")
    source = Source(path=path, rows=0, id_type=pa.string(), identity=("", "", 0, 0), truth=("categories",))
    plan = Plan(sources=(source,), columns=Columns(), id_type=source.id_type, parts=())
    collector = Collector("cs.RO", plan)
    for year in years:
        ids = [f"{year}{month:02}.{number:05}" for month in range(1, 13) for number in range(1000)]
        batch = pa.record_batch([ids, ["cs.RO"] * len(ids)], names=["id", "categories"])
        collector.look(path, batch)
        collector.add(np.full(len(ids), 0.5, dtype=np.float32))
        assert sum(map(len, collector._kept)) <= 36_000
    found = collector.papers()
    assert len(found) == 24_000
    assert found.listed.all()


def test_categories_are_whole_tokens() -> None:
    values = {
        "cs.RO": True,
        "math.AG cs.RO": True,
        "['cs.RO','x']": True,
        "math.AG;cs.RO": True,
        "cs.ROB": False,
        "xcs.RO": False,
        "cs-RO": False,
        "": None,
        None: None,
        " [] ": None,
    }
    assert is_listed(pl.Series(list(values), dtype=pl.String), "cs.RO").to_list() == list(values.values())
    assert is_listed(pl.Series(["a b (c", "a"]), "a b (c").to_list() == [True, False]
