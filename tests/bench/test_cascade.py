"""What the benchmark of the cascade measures is what happens."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from bench.cascade import dissect, score
from bench.front import CUTS, Point, draw, try_cuts
from bench.measure import Child
from ro32.model.bundle import CASCADE, Bundle


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


def test_the_front_asks_a_bundle_at_each_cut(cascade_bundle: Path, tmp_path: Path) -> None:
    bundle, asked = tmp_path / "bundle", []
    shutil.copytree(cascade_bundle, bundle)
    lines = ["by,value,papers,screened,lost,gained", *(f"cut,{cut:g},1000,900,{n},0" for n, cut in enumerate(CUTS))]
    (bundle / CASCADE).write_text("\n".join(lines))

    def measure(folder: Path) -> Child:
        cascade = Bundle.load(folder).manifest.cascade
        assert cascade is not None
        asked.append(cascade.cut)
        return Child(result={}, wall_s=2.0, peak_rss_bytes=1)

    points = try_cuts(bundle, tmp_path / "other", 1000, measure, lambda _: None)
    assert asked == list(CUTS)
    assert [point["changed_share"] for point in points] == [0.0, 0.001, 0.002, 0.003]
    assert {point["papers_per_s"] for point in points} == {500.0}


def test_the_front_is_drawn(tmp_path: Path) -> None:
    points: list[Point] = [{"cut": cut, "papers_per_s": 100.0 - cut, "changed_share": 1e-5} for cut in CUTS]
    draw(points, points[1], full=10.0, most_changed=1e-4, path=tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
