"""What needs no cluster: the worker alone, the options, what is refused."""

import os
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ro32.cli import engines
from ro32.cli.engines import parse_actors
from ro32.cluster.worker import Model, Worker
from ro32.data.papers import Columns
from ro32.errors import BundleError, TryAgainError, UsageError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.outcomes import OutcomeIndex
from ro32.run.plan import Plan, make_plan
from ro32.storage.local_parts import LocalParts
from tests.command_line import Score


@pytest.fixture
def folder(tmp_path: Path) -> LocalParts:
    """A folder of parts."""
    folder = LocalParts(tmp_path / "labels.parquet", "run")
    folder.create()
    return folder


@pytest.fixture
def model(tiny_bundle: Path, classifier: Classifier) -> Model:
    return Model(
        bundle=Bundle.load(tiny_bundle),
        full=False,
        decision=classifier.decision,
        scoring_digest=classifier.scoring_digest,
        threads=1,
    )


@pytest.fixture
def part(source: Path) -> Plan:
    """The second part of a plan alone."""
    plan = make_plan([source], Columns(), part_rows=2)
    return replace(plan, parts=plan.parts[1:2])


def test_a_worker_keeps_what_the_local_engine_would(model: Model, source: Path, part: Plan, folder: LocalParts) -> None:
    kept = Worker(model).score(part, folder, OutcomeIndex())
    assert (kept.counts.rows, kept.counts.scored) == (2, 2)
    assert kept.thread_seconds > 0
    assert pl.read_parquet(folder.path / kept.name)["id"].to_list() == pl.read_parquet(source)["id"].to_list()[2:4]
    assert Worker(model).score(part, folder, OutcomeIndex()).name == kept.name
    assert folder.names() == [kept.name]


def test_a_worker_refuses_another_file_than_was_planned(
    model: Model, source: Path, part: Plan, folder: LocalParts
) -> None:
    os.utime(source, ns=(0, 0))
    with pytest.raises(TryAgainError, match="not the same file on all nodes"):
        Worker(model).score(part, folder, OutcomeIndex())
    source.unlink()
    with pytest.raises(TryAgainError, match="changed while it was read"):
        Worker(model).score(part, folder, OutcomeIndex())


@pytest.mark.parametrize("name", ["model", "tokenizer"])
def test_a_bundle_that_was_altered_on_its_way_is_refused(model: Model, name: str) -> None:
    altered = replace(model.bundle, **{name: getattr(model.bundle, name) + b" "})
    with pytest.raises(BundleError, match="altered on its way"):
        Worker(replace(model, bundle=altered))
    with pytest.raises(BundleError, match="altered on its way"):
        Worker(replace(model, bundle=replace(model.bundle, digest="0" * 64)))


def test_a_node_with_another_version_is_refused(model: Model) -> None:
    with pytest.raises(BundleError, match="another version of ro32"):
        Worker(replace(model, scoring_digest="another"))


def test_numbers_of_actors() -> None:
    assert parse_actors("4") == (4, 4)
    assert parse_actors("2:16") == (2, 16)
    for text in ("", ":", "2:", "a", "-1", "1:b", "1:2:3", "9" * 5_000):
        with pytest.raises(UsageError, match="expected a number"):
            parse_actors(text)


def test_what_cannot_be_is_refused(score: Score, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "labels.parquet"
    assert "--engine ray" in score(source, "-o", target, "--ray-actors", "3").stderr
    refused = score(source, "-o", target, "--engine", "ray", "--ray-actors", "3:2")
    assert (refused.code, "found 3 and 2" in refused.stderr) == (2, True)
    assert score(source, "-o", target, "--engine", "ray", "--ray-actors", "0").code == 2
    nobody = score(source, "-o", target, "--engine", "ray", "--ray-address", "127.0.0.1:1")
    assert (nobody.code, "127.0.0.1:1 cannot be reached" in nobody.stderr) == (69, True)
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    missing = score(source, "-o", target, "--engine", "ray")
    assert (missing.code, "pip install 'ro32[ray]'" in missing.stderr) == (2, True)
    assert not target.exists()
