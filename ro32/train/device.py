"""The training device: what it does for the loop, and its selection. Devices of torch_xla are in `xla`."""

import ctypes
import importlib.util
import os
import platform
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ro32.errors import UsageError
from ro32.model.processor import processor_flags, processor_name
from ro32.train.batches import Batch

CPU_TOKENS_PER_PASS = 32 * 512
BYTES_PER_TOKEN = 1 << 20
"""GPU memory that a token of a pass is given. MiniLM takes 0.2 MiB at 256 tokens a paper (measured on an H100);
BERT-base has twice the layers and the width, and at 512 tokens twice the attention a token."""
FEWEST_TOKENS = 512


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


def open_device(kind: Kind, dtype: DType) -> Device:
    """Find the device and prepare the process for it; raise UsageError if it is not there."""
    if kind is Kind.TPU or (kind is Kind.AUTO and importlib.util.find_spec("torch_xla") is not None):
        tpu = _open_tpu(dtype, on_processor=kind is Kind.TPU and os.environ.get("PJRT_DEVICE") == "CPU")
        if tpu is not None:
            return tpu
    if kind is Kind.TPU:
        raise UsageError(
            "--device tpu: no TPU found; run this on a TPU VM, in an environment of its own with ro32[tpu], or try it"
            " out on the processor with PJRT_DEVICE=CPU"
        )
    if kind is Kind.CUDA and not torch.cuda.is_available():
        raise UsageError("--device cuda: no CUDA device found; use --device cpu, or install a CUDA build of torch")
    if kind is not Kind.CPU and torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        return Device(
            torch_device=torch.device("cuda"),
            bfloat16=dtype is not DType.FLOAT32,
            name=torch.cuda.get_device_name(),
            tokens_per_pass=max(memory // BYTES_PER_TOKEN, FEWEST_TOKENS),
        )
    _keep_freed_memory()
    return Device(
        torch_device=torch.device("cpu"),
        bfloat16=dtype is DType.BFLOAT16 or (dtype is DType.AUTO and has_bfloat16_products()),
        name=f"CPU ({processor_name()}, {torch.get_num_threads()} threads)",
        tokens_per_pass=CPU_TOKENS_PER_PASS,
    )


def _open_tpu(dtype: DType, *, on_processor: bool) -> Device | None:
    """Return the TPU, or what torch_xla makes of the processor; None if there is no TPU."""
    if importlib.util.find_spec("torch_xla") is None:
        raise UsageError("--device tpu: torch_xla is not installed; install ro32[tpu] in an environment of its own")
    try:
        from ro32.train import xla  # noqa: PLC0415 - importing torch_xla takes hold of the TPU

        return xla.open_xla(dtype) if on_processor or xla.has_tpu() else None
    except (OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the TPU cannot be used: {reason}; install ro32[tpu], end what holds the TPU, or take --device cpu"
        ) from error


def has_bfloat16_products() -> bool:
    """Return whether this processor multiplies bfloat16 itself; elsewhere it is emulated, and slower than float32.

    MiniLM, forward and backward, 32 x 192 tokens, papers/s: on a Zen 4 with AVX512_BF16, two cores, 11.5 against 6.9
    in float32; on a Sapphire Rapids whose AMX was masked, no gain.
    """
    return not processor_flags().isdisjoint({"avx512_bf16", "amx_bf16"})


def _keep_freed_memory() -> None:
    """Tell glibc to keep what a step frees: handed back, every step would fault the same pages in again."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD of malloc.h
    mallopt(-4, 0)  # M_MMAP_MAX
