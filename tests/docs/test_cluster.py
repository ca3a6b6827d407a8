"""docs/cluster.md: its recipes are what they say, as far as they can be tried without those services."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import fastjsonschema
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import yaml

from ro32.cli.score import command
from ro32.model.classifier import Classifier
from tests.docs.tables import DOCS

PAGE = (DOCS / "cluster.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def score_batches(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[pa.RecordBatch]]:
    """The function of the Spark job, with the tiny bundle in place of the one that ships."""
    (source,) = (block for block in blocks("python") if "mapInArrow" in block)
    assert len([line for line in source.splitlines() if line]) <= 40
    monkeypatch.setattr(Classifier, "load", classmethod(lambda cls: cls(_bundle(tiny_bundle))))
    names: dict[str, Any] = {}
    exec(compile(source, "cluster.md", "exec"), names)  # noqa: S102 - it is the documentation's own code
    function: Callable[..., Iterator[pa.RecordBatch]] = names["score_batches"]
    return function


def _bundle(folder: Path) -> Any:
    from ro32.model.bundle import Bundle  # noqa: PLC0415 - by way of the class that is patched

    return Bundle.load(folder)


def test_the_function_of_the_spark_job_labels_as_the_command_does(
    score_batches: Callable[..., Iterator[pa.RecordBatch]], papers_path: Path, tiny_labels: Path
) -> None:
    empty = pl.DataFrame({"id": ["none"], "title": [None], "abstract": [" "]}, schema_overrides={"title": pl.String})
    frame = pl.concat([pl.read_parquet(papers_path).head(60).select("id", "title", "abstract"), empty])
    batches = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(max_chunksize=25)
    found = pa.Table.from_batches(list(score_batches(iter(batches))))
    assert found.column_names == ["id", "label", "score"]
    assert found["id"].to_pylist() == frame["id"].to_list()
    expected = pl.read_parquet(tiny_labels).head(60)
    assert found["label"].to_pylist() == [*expected["label"].to_list(), None]
    assert np.array_equal(found["score"].to_pylist()[:60], expected["score"].to_list())
    assert found["score"].to_pylist()[60] is None
    assert "pyspark" not in sys.modules


def test_the_job_of_kubernetes_calls_the_command_as_it_is() -> None:
    (manifest,) = (yaml.safe_load(block) for block in blocks("yaml"))
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    cluster = manifest["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]
    for pod in pods:
        mounts = {mount["name"] for container in pod["spec"]["containers"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod["spec"]["volumes"]}
    program, *arguments = manifest["spec"]["entrypoint"].split()
    assert program == "ro32-score"
    with command.make_context(program, arguments) as context:
        assert context.params["engine"] == "ray"


@pytest.mark.parametrize(
    "line", re.findall(r"^(?:head\$ +/opt/ro32/bin/)?ro32-score (.*--engine ray.*)$", PAGE, re.MULTILINE)
)
def test_the_commands_for_a_cluster_are_understood(line: str) -> None:
    with command.make_context("ro32-score", line.split()) as context:
        assert context.params["ray_address"]


def test_the_commands_that_start_a_cluster_are_understood() -> None:
    """By the parser of Ray's own command: no second cluster is started beside that of the tests."""
    from ray.scripts.scripts import cli  # noqa: PLC0415 - slow, and of use here alone

    lines = re.findall(r"^\w+\$ +/opt/ro32/bin/ray ([\w-]+)(.*)$", PAGE, re.MULTILINE)
    assert [name for name, _ in lines] == ["get-auth-token", "start", "start", "stop"]
    for name, rest in lines:
        with cli.commands[name].make_context(name, rest.split()) as context:
            assert not context.args
    with pytest.raises(click.NoSuchOption):
        cli.commands["start"].make_context("start", ["--heed"])


def test_the_job_of_kubernetes_has_fields_that_there_are() -> None:
    """A mistyped field is dropped by a cluster without a word.

    Source: https://ray-project.github.io/kuberay/reference/api/ and the reference of Kubernetes' Pod
    """
    (manifest,) = (yaml.safe_load(block) for block in blocks("yaml"))
    amount = {"type": "string", "pattern": r"^[0-9]+(m|Mi|Gi)?$"}
    amounts = _object({"cpu": amount, "memory": amount}, required=[])
    container = _object(
        {
            "name": {"type": "string"},
            "image": {"type": "string"},
            "resources": _object({"requests": amounts, "limits": amounts}, required=[]),
            "volumeMounts": _list(_object({"name": {"type": "string"}, "mountPath": {"type": "string"}})),
        }
    )
    claim = _object({"claimName": {"type": "string"}})
    volumes = _list(_object({"name": {"type": "string"}, "persistentVolumeClaim": claim}))
    template = _object({"spec": _object({"containers": _list(container), "volumes": volumes})})
    parameters = {"type": "object", "additionalProperties": {"type": "string"}}
    count, flag = {"type": "integer", "minimum": 0}, {"type": "boolean"}
    group = {"groupName": {"type": "string"}, "replicas": count, "minReplicas": count, "maxReplicas": count}
    cluster = {
        "enableInTreeAutoscaling": flag,
        "headGroupSpec": _object({"rayStartParams": parameters, "template": template}),
        "workerGroupSpecs": _list(_object(group | {"rayStartParams": parameters, "template": template})),
    }
    job = {
        "entrypoint": {"type": "string"},
        "backoffLimit": count,
        "shutdownAfterJobFinishes": flag,
        "ttlSecondsAfterFinished": count,
        "rayClusterSpec": _object(cluster),
    }
    validate = fastjsonschema.compile(
        _object(
            {
                "apiVersion": {"const": "ray.io/v1"},
                "kind": {"const": "RayJob"},
                "metadata": _object({"name": {"type": "string"}}),
                "spec": _object(job),
            }
        )
    )
    validate(manifest)
    manifest["spec"]["entryPoint"] = manifest["spec"]["entrypoint"]
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate(manifest)


def _object(fields: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    named = list(fields) if required is None else required
    return {"type": "object", "properties": fields, "required": named, "additionalProperties": False}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


def test_the_plan_on_paper_adds_up() -> None:
    """The table's figures follow from the two rates in the sentence above it, which are of two cores."""
    rates = re.findall(r"at ([\d.]+) papers/s with the cascade and\sat ([\d.]+) papers/s without", PAGE)[0]
    rows = dict(re.findall(r"^\| (w\S+ the cascade), core-hours \| ([\d.]+ \| [\d.,]+) \|$", PAGE, re.MULTILINE))
    per_million = re.findall(r"A million papers take ([\d.]+) core-hours with the cascade and ([\d.]+) w", PAGE)[0]
    for name, text, found in zip(("with the cascade", "without the cascade"), rates, per_million, strict=True):
        core_hours = 2 / float(text) / 3600
        small, large = (float(figure.replace(",", "")) for figure in rows[name].split(" | "))
        assert small == pytest.approx(2.5e6 * core_hours, rel=0.005)
        assert large == pytest.approx(250e6 * core_hours, rel=0.005)
        assert float(found) == pytest.approx(1e6 * core_hours, rel=0.005)
