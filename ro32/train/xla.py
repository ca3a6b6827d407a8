"""TPUs, through torch_xla: all local cores as one device whose batches are divided by rows (SPMD).

Every distinct graph is compiled, for seconds to minutes, so shapes are few and whatever changes from step to step is a
tensor. Gradients are reduced by the compiler: the loss is a sum over the rows of all devices.

docs/decisions.md says why this is one process, and not one for each core.
"""

import os
from dataclasses import dataclass

import numpy as np
import torch
import torch_xla
import torch_xla.core.xla_model as xm
import torch_xla.runtime as xr
from numpy.typing import NDArray
from torch_xla.distributed import spmd

from ro32.train.device import Device, DType

TOKENS_PER_PASS_AND_DEVICE = 8_192


def has_tpu() -> bool:
    """Return whether the runtime would use a TPU."""
    return bool(xr.device_type() == "TPU")


@dataclass(frozen=True, kw_only=True)
class XlaDevice(Device):
    """All local XLA devices as one."""

    mesh: spmd.Mesh

    def put_rows(self, array: NDArray[np.generic]) -> torch.Tensor:
        """Copy an array to the devices."""
        tensor = torch.from_numpy(array).to(self.torch_device)
        spmd.mark_sharding(tensor, self.mesh, ("rows", *(None,) * (array.ndim - 1)))
        return tensor

    def hold_whole(self, tensor: torch.Tensor) -> None:
        """Declare that every device holds all of it."""
        # What a step writes has this sharding anyway; what it reads first without it would be another graph.
        spmd.mark_sharding(tensor, self.mesh, (None,) * tensor.ndim)

    def seed(self, number: int) -> None:
        """Start the random numbers of dropout again."""
        xm.set_rng_state(number, self.torch_device)

    def finish(self) -> None:
        """Compile what was issued, and run it."""
        torch_xla.sync()


def open_xla(dtype: DType) -> Device:
    """Return all local XLA devices as one. PJRT_DEVICE=CPU makes the host's processor an XLA device."""
    if os.environ.get("PJRT_DEVICE") == "CPU":
        os.environ.setdefault("CPU_NUM_DEVICES", "1")
    xr.use_spmd()
    devices, hardware = xr.global_runtime_device_count(), xr.device_type()
    return XlaDevice(
        torch_device=torch_xla.device(),
        bfloat16=dtype is DType.BFLOAT16 or (dtype is DType.AUTO and hardware == "TPU"),
        name=f"{devices} x XLA:{hardware}",
        tokens_per_pass=TOKENS_PER_PASS_AND_DEVICE * devices,
        devices=devices,
        compiles=True,
        mesh=spmd.Mesh(np.arange(devices), (devices,), ("rows",)),
    )
