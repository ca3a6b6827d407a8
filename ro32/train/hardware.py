"""Selects the training device; with `xla`, the only module that distinguishes CPU, CUDA and TPU."""

import ctypes
import importlib.util
import os
import platform

import torch

from ro32.errors import UsageError
from ro32.model.processor import processor_flags, processor_name
from ro32.train.device import Device, DType, Kind

CPU_TOKENS_PER_PASS = 32 * 512
BYTES_PER_TOKEN = 1 << 20
"""GPU memory that a token of a pass is given. MiniLM takes 0.2 MiB at 256 tokens a paper (measured on an H100);
BERT-base has twice the layers and the width, and at 512 tokens twice the attention a token."""
FEWEST_TOKENS = 512


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
