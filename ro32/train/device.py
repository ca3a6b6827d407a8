"""The interface of a training device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray


class Kind(StrEnum):
    """What to train on. Auto takes the first of TPU, CUDA and CPU that is there."""

    AUTO = "auto"
    TPU = "tpu"
    CUDA = "cuda"
    CPU = "cpu"


class DType(StrEnum):
    """Arithmetic of matrix products; weights and optimizer state are float32 always."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device that is ready to train.

    Attributes:
        kind: Never auto.
        torch_device: Where tensors live.
        bfloat16: Whether matrix products run in bfloat16.
        name: What a model card calls it.
        devices: Over how many a batch's rows are divided.
        compiles: Whether every new shape costs a compilation, and values that change must be tensors.
        tokens_per_pass: A forward and backward pass is given at most about so many tokens.
        put_rows: Copies an array to the device, its rows divided among the devices.
        hold_whole: Declares that every device holds all of a tensor that is on the device.
        seed: Starts the random numbers of dropout again.
        finish: Called when all of a step is issued.
    """

    kind: Kind
    torch_device: torch.device
    bfloat16: bool
    name: str
    devices: int
    compiles: bool
    tokens_per_pass: int
    put_rows: Callable[[NDArray[np.generic]], torch.Tensor]
    hold_whole: Callable[[torch.Tensor], None]
    seed: Callable[[int], None]
    finish: Callable[[], None]

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the forward pass runs."""
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16, enabled=self.bfloat16)

    def put_scalar(self, value: float) -> torch.Tensor:
        """Return a number as a float32 tensor on the device, shape (1,).

        Not of shape (): torch_xla makes 0 and 1 of that shape constants of the graph, and so each a graph of its own.
        """
        return torch.tensor([value], dtype=torch.float32).to(self.torch_device)
