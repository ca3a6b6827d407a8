"""A training device, as the loop sees it; `xla` has the other kind."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ro32.train.batches import Batch


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
    """A processor or a GPU that is ready to train."""

    torch_device: torch.device  # where tensors live
    bfloat16: bool  # matrix products run in bfloat16
    name: str  # what a model card calls it
    tokens_per_pass: int  # a forward and backward pass is given at most about so many
    devices: int = 1  # a batch's rows are divided over so many
    compiles: bool = False  # every new shape costs a compilation, and values that change must be tensors

    @property
    def arithmetic(self) -> str:
        """The numbers that it multiplies."""
        return str(DType.BFLOAT16 if self.bfloat16 else DType.FLOAT32)

    def logits(self, model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        """Run a model on b rows; shape (b, k), float32."""
        input_ids, attention_mask = self.put_rows(batch.input_ids), self.put_rows(batch.attention_mask)
        with torch.autocast(self.torch_device.type, dtype=torch.bfloat16, enabled=self.bfloat16):
            logits: torch.Tensor = model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits.float()

    def put_rows(self, array: NDArray[np.generic]) -> torch.Tensor:
        """Copy an array to the device, its rows divided among the devices."""
        return torch.from_numpy(array).to(self.torch_device, non_blocking=True)

    def put_scalar(self, value: float) -> torch.Tensor:
        """Return a number as a float32 tensor on the device, shape (1,).

        Not of shape (): torch_xla makes 0 and 1 of that shape constants of the graph, and so each a graph of its own.
        """
        return torch.tensor([value], dtype=torch.float32).to(self.torch_device)

    def changing(self, value: float) -> torch.Tensor | float:
        """Return a number that changes from step to step, as the optimizer takes it."""
        return self.put_scalar(value) if self.compiles else value

    def hold_whole(self, tensor: torch.Tensor) -> None:
        """Declare that every device holds all of a tensor that is on the device."""

    def seed(self, number: int) -> None:
        """Start the random numbers of dropout again."""
        torch.manual_seed(number)

    def finish(self) -> None:
        """Note that all of a step is issued."""
