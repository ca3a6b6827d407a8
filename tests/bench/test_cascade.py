"""What the benchmark of the cascade measures is what happens."""

from pathlib import Path

import polars as pl
import pytest

from bench.cascade import dissect, score
from bench.dump import SHARES, in_todays_mix


@pytest.fixture
def source(papers: pl.DataFrame, tmp_path: Path) -> Path:
    papers.write_parquet(tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


def test_time_is_divided_by_what_is_done(source: Path, cascade_bundle: Path, tmp_path: Path) -> None:
    found = dissect({"papers": str(source), "folder": str(tmp_path), "bundle": str(cascade_bundle)})
    threads = found["threads that score"]
    parts = {name: threads[name] for name in ("screening", "tokenizing", "encoding")}
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) <= threads["all"]
    assert {"read", "score", "commit"} <= set(found["main thread"])


def test_both_modes_label_all_papers(source: Path, cascade_bundle: Path, tmp_path: Path) -> None:
    case = {"papers": str(source), "folder": str(tmp_path), "bundle": str(cascade_bundle), "target": "labels.parquet"}
    found = {mode: score(case | {"cascade": mode})["papers"] for mode in ("on", "off")}
    assert found["on"]["rows"] == found["off"]["rows"] == found["off"]["scored"] == 300
    assert found["on"]["screened"] > 0 == found["off"]["screened"]


def test_todays_mix_has_the_shares_of_arxiv() -> None:
    modern = pl.read_parquet(Path(__file__).parents[1] / "data" / "modern_papers.parquet")
    mix = in_todays_mix(modern.filter(~pl.col("oversampled")))
    found = dict(mix["categories"].str.extract(r"^([a-z-]+)").value_counts(normalize=True).iter_rows())
    shares = {archive: share for archive, _, share in pl.read_csv(SHARES).iter_rows() if archive in found}
    total = sum(shares.values())
    assert total > 0.95
    assert found == pytest.approx({archive: share / total for archive, share in shares.items()}, abs=0.002)
