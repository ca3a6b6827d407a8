"""What the benchmark of the cascade measures is what happens."""

from pathlib import Path

import polars as pl
import pytest

from bench.cascade import dissect
from bench.command import score
from bench.dump import SHARES, in_todays_mix, read_drawn
from bench.first import measure as measure_first

SAMPLE = Path(__file__).parents[1] / "data" / "papers.parquet"


@pytest.fixture
def source(papers: pl.DataFrame, tmp_path: Path) -> Path:
    papers.write_parquet(tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


def test_time_is_divided_by_what_is_done(source: Path, cascade_bundle: Path, tmp_path: Path) -> None:
    case = {"papers": str(source), "target": str(tmp_path / "labels.parquet"), "bundle": str(cascade_bundle)}
    found = dissect(case)
    threads = found["threads that score"]
    parts = {name: threads[name] for name in ("screening", "tokenizing", "encoding")}
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) <= threads["all"]
    assert {"read", "score", "commit"} <= set(found["main thread"])


def test_both_modes_label_all_papers(source: Path, cascade_bundle: Path, tmp_path: Path) -> None:
    case = {"papers": str(source), "target": str(tmp_path / "labels.parquet")}
    options = {"on": ["--bundle", str(cascade_bundle)], "off": ["--bundle", str(cascade_bundle), "--full"]}
    found = {mode: score(case | {"options": words})["papers"] for mode, words in options.items()}
    assert found["on"]["rows"] == found["off"]["rows"] == found["off"]["scored"] == 300
    assert found["on"]["screened"] > 0 == found["off"]["screened"]


def test_todays_mix_has_the_shares_of_arxiv() -> None:
    mix = in_todays_mix(read_drawn(SAMPLE.with_name("modern_papers.parquet")))
    found = dict(mix["categories"].str.extract(r"^([a-z-]+)").value_counts(normalize=True).iter_rows())
    shares = {archive: share for archive, _, share in pl.read_csv(SHARES).iter_rows() if archive in found}
    total = sum(shares.values())
    assert total > 0.95
    assert found == pytest.approx({archive: share / total for archive, share in shares.items()}, abs=0.002)


def test_a_first_run_labels_the_whole_dump() -> None:
    section = measure_first(SAMPLE, SAMPLE.with_name("modern_papers.parquet"), rows=60, say=print)
    counts = section.figures["papers"]
    assert counts["rows"] == counts["scored"] + counts["duplicates"] == 60
    assert section.checks[0]["found"] == section.figures["wall_s"]
