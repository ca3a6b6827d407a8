"""The loop on a real XLA device: PJRT's CPU client. Needs an environment with torch_xla (`make test-xla`).

Each training runs in a process of its own, since a process has one XLA runtime.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

pytestmark = pytest.mark.xla

CASE = """
import dataclasses, json, signal, sys
from pathlib import Path
from ro32.errors import Interrupted
from ro32.train import loop
from ro32.train.config import Optimizer, Recipe
from ro32.train.device import DType, Kind
from ro32.train.run import Options, run
from ro32.train.step import Stepper
from ro32.train.watch import Watch

settings = json.loads(sys.argv[1])
recipe = dataclasses.replace(
    Recipe(), base=settings["base"], max_length=128, epochs=2, optimizer=Optimizer.ADAMW, learning_rate=1e-3,
    batch_size=16, dropout=0.0, attention_dropout=0.0, auxiliary_weight=settings["auxiliary_weight"],
)
options = Options(
    data=Path(settings["data"]), validation=None, output=Path(settings["output"]), cache=Path(settings["cache"]),
    limit=settings["limit"], device=Kind(settings["device"]), dtype=DType(settings["dtype"]), save_every=1000,
    resume=True, command="ro32-train",
)
shapes, compiled = {"train": set(), "eval": set()}, []
take, validate = Stepper.take, loop.validate

def taking(self, batches, *, step):
    take(self, batches, step=step)
    shapes["train"] |= {batch.input_ids.shape for batch in batches}
    if step == settings["stop_at"]:
        signal.raise_signal(signal.SIGTERM)

def validating(model, papers, device, shaper, **kwargs):
    for at in shaper.plan_evaluation(papers):
        shapes["eval"] |= {batch.input_ids.shape for batch in shaper.batches(papers, at)}
    result = validate(model, papers, device, shaper, **kwargs)
    if device.compiles:
        import torch_xla.debug.metrics
        found = torch_xla.debug.metrics.metric_data("CompileTime")
        compiled.append(0 if found is None else int(found[0]))
    return result

Stepper.take, loop.validate = taking, validating
try:
    run(options, recipe, Watch(quiet=True))
except Interrupted as stopped:
    sys.exit(stopped.exit_code)
print(json.dumps({"compiled": compiled, "shapes": sum(map(len, shapes.values()))}))
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training left.

    Attributes:
        folder: The checkpoint.
        compiled: Graphs compiled by the end of each epoch.
        shapes: Distinct (rows, tokens) that occurred, in training and in evaluation each.
    """

    folder: Path
    compiled: list[int]
    shapes: int

    @property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """All weights of the checkpoint, by name."""
        return load_file(self.folder / "model.safetensors")

    @property
    def losses(self) -> list[float]:
        """The training loss of each epoch."""
        record = json.loads((self.folder / "training.json").read_text())
        return [row["training_loss"] for row in record["results"]]


class Trainer:
    """Trains small models from the tiny base on the sample, each in a process of its own."""

    def __init__(self, base: Path, data: Path, folder: Path) -> None:
        self._base, self._data, self._folder = base, data, folder

    def start(
        self,
        name: str,
        *,
        devices: int,
        limit: int = 230,
        dtype: str = "float32",
        stop_at: int = -1,
        auxiliary_weight: float = 0.0,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Train on so many XLA devices, or on the plain CPU where there are none."""
        settings = {
            "base": str(self._base),
            "data": str(self._data),
            "output": str(self._folder / name),
            "cache": str(self._folder / "cache"),
            "device": "tpu" if devices else "cpu",
            "limit": limit,
            "dtype": dtype,
            "stop_at": stop_at,
            "auxiliary_weight": auxiliary_weight,
        }
        if environment is None:
            environment = {"PJRT_DEVICE": "CPU", "CPU_NUM_DEVICES": str(max(devices, 1))}
        inherited = {name: value for name, value in os.environ.items() if name != "PJRT_DEVICE"}
        return subprocess.run(
            [sys.executable, "-c", CASE, json.dumps(settings)],
            env={**inherited, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def train(self, name: str, **settings: float | str) -> Trained:
        """Train to the end."""
        done = self.start(name, **settings)  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        return Trained(folder=self._folder / name, compiled=found["compiled"], shapes=found["shapes"])


@pytest.fixture(scope="module")
def trainer(base: Path, papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return Trainer(base, papers_path, tmp_path_factory.mktemp("xla"))


@pytest.fixture(scope="module")
def plain(trainer: Trainer) -> Trained:
    """22 steps on the plain CPU."""
    return trainer.train("plain", devices=0)


@pytest.fixture(scope="module")
def one(trainer: Trainer) -> Trained:
    """The same on one XLA device."""
    return trainer.train("one", devices=1)


def assert_same_weights(found: Trained, expected: Trained) -> None:
    for name, weights in expected.weights.items():
        # 22 steps of AdamW at 1e-3 move a weight by 0.02 at most; what differs is the order of float32 sums, which
        # Adam's division by a small second moment magnifies. Found: 8e-5 for key biases, whose true gradient is 0, and
        # 5e-7 for others.
        np.testing.assert_allclose(found.weights[name], weights, rtol=0, atol=2e-4, err_msg=name)


def test_each_shape_is_compiled_once_and_nothing_in_the_second_epoch(one: Trained) -> None:
    assert one.shapes >= 3  # two lengths in training, one or two in evaluation
    assert one.compiled == [one.shapes, one.shapes]


def test_the_loss_falls(one: Trained) -> None:
    assert one.losses[1] < one.losses[0]


def test_one_xla_device_trains_like_the_plain_cpu(one: Trained, plain: Trained) -> None:
    assert_same_weights(one, plain)


def test_two_xla_devices_train_like_one(trainer: Trainer, one: Trained) -> None:
    two = trainer.train("two", devices=2)
    assert_same_weights(two, one)
    assert two.compiled == [two.shapes, two.shapes]


def test_a_stopped_run_goes_on_to_the_same_weights(trainer: Trainer, one: Trained) -> None:
    stopped = trainer.start("resumed", devices=1, stop_at=7)
    assert stopped.returncode == 143, stopped.stderr
    assert_same_weights(trainer.train("resumed", devices=1), one)


def test_bfloat16_with_the_auxiliary_task_trains_and_compiles_no_more(trainer: Trainer) -> None:
    found = trainer.train("bfloat16", devices=1, dtype="bfloat16", auxiliary_weight=0.1)
    assert found.losses[1] < found.losses[0]
    assert found.compiled == [found.shapes, found.shapes]


@pytest.mark.parametrize(
    ("asked", "reason"), [({}, "--device tpu: no TPU found"), ({"PJRT_DEVICE": "TPU"}, "the TPU cannot be used")]
)
def test_without_a_tpu_the_device_is_refused(trainer: Trainer, asked: dict[str, str], reason: str) -> None:
    refused = trainer.start("refused", devices=1, environment=asked)
    assert refused.returncode != 0
    assert reason in refused.stderr


def test_the_checkpoint_is_exported_and_scores(one: Trained, papers_path: Path, tmp_path: Path) -> None:
    bundle, labels = tmp_path / "bundle", tmp_path / "labels.parquet"
    for module, args in (
        # So few steps leave a model whose labels a rounding can flip: the bounds are for real ones.
        ("export", (one.folder, "-o", bundle, "--papers", papers_path, "--variant", "fp32")),
        ("ro32.cli.score", (papers_path, "-o", labels, "--bundle", bundle, "--quiet")),
    ):
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, args)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    found = pl.read_parquet(labels)
    assert found["id"].equals(pl.read_parquet(papers_path)["id"])
    assert found["score"].null_count() == 0
