"""The loop on a real XLA device: PJRT's CPU client. Needs an environment with torch_xla.

Each case runs in a process of its own, since a process has one XLA runtime.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

pytestmark = pytest.mark.xla

CASE = """
import dataclasses, json, sys
from pathlib import Path
from ro32.train.config import Optimizer, Recipe
from ro32.train.device import DType, Kind
from ro32.train.run import Options, run
from ro32.train.watch import Watch

settings = json.loads(sys.argv[1])
recipe = dataclasses.replace(
    Recipe(), base=settings["base"], max_length=128, epochs=2, optimizer=Optimizer.ADAMW, learning_rate=1e-3,
    batch_size=16, dropout=0.0,
)
options = Options(
    data=Path(settings["data"]), validation=None, output=Path(settings["output"]), cache=Path(settings["cache"]),
    limit=230, device=Kind(settings["device"]), dtype=DType.FLOAT32, save_every=1000, resume=True, command="ro32-train",
)
compiled = []
if settings["device"] == "tpu":
    from ro32.train import loop, xla
    evaluate = loop.evaluate
    def counting(*args, **kwargs):
        result = evaluate(*args, **kwargs)
        compiled.append(xla.compilations())
        return result
    loop.evaluate = counting
run(options, recipe, Watch(quiet=True))
print(json.dumps(compiled))
"""
SHAPES = 2
"""64 and 128 tokens, at a max_length of 128."""


def test_trains_like_the_plain_cpu_whatever_the_number_of_devices(
    base: Path, papers_path: Path, tmp_path: Path
) -> None:
    compiled = {
        name: _train(name, base=base, data=papers_path, folder=tmp_path, devices=devices)
        for name, devices in (("cpu", 0), ("one", 1), ("two", 2))
    }
    for name in ("one", "two"):
        first, second = compiled[name]
        assert first <= SHAPES * 2  # train and eval
        assert second == first  # nothing is compiled in the second epoch

    losses = [row["training_loss"] for row in json.loads((tmp_path / "one" / "training.json").read_text())["results"]]
    assert losses[1] < losses[0]
    weights = {name: load_file(tmp_path / name / "model.safetensors") for name in ("cpu", "one", "two")}
    for name in ("one", "two"):
        for key, plain in weights["cpu"].items():
            # 22 steps of AdamW at 1e-3 move a weight by 0.02 at most; what differs is the order of float32 sums, which
            # Adam's division by a small second moment magnifies.
            np.testing.assert_allclose(weights[name][key], plain, rtol=0, atol=1e-3, err_msg=f"{name}: {key}")


def _train(name: str, *, base: Path, data: Path, folder: Path, devices: int) -> list[int]:
    settings = {
        "base": str(base),
        "data": str(data),
        "output": str(folder / name),
        "cache": str(folder / "cache"),
        "device": "tpu" if devices else "cpu",
    }
    environment = {**os.environ, "PJRT_DEVICE": "CPU", "CPU_NUM_DEVICES": str(max(devices, 1)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CASE, json.dumps(settings)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(done.stdout.splitlines()[-1])
    return found
