"""The benchmark of the engine measures both engines."""

from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from bench.cluster import measure


@pytest.mark.full
def test_both_engines_are_measured(cluster: Cluster, papers_path: Path) -> None:
    section = measure(papers_path, rows=40, part_rows=10, repeats=1, say=lambda _: None, address=str(cluster.address))
    assert set(section.figures) == {"local", "ray"}
    assert all(figures["start_s"]["median"] > 0 for figures in section.figures.values())
    assert [check["what"] for check in section.checks] == ["seconds by Ray : seconds by the local engine, starts apart"]
