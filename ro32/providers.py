"""What runs the model: onnxruntime's execution providers, and which of them ro32 stands for."""

from enum import StrEnum

import onnxruntime as ort

from ro32.errors import UsageError


class Provider(StrEnum):
    """What can be asked for."""

    CPU = "cpu"
    OPENVINO = "openvino"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


EXECUTION = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.OPENVINO: "OpenVINOExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
}
"""Source: https://onnxruntime.ai/docs/execution-providers/"""
_WHY_NOT = {
    Provider.OPENVINO: "it was measured, and is slower than the cpu provider (docs/performance.md)",
    Provider.CUDA: "ro32 was tested on no GPU, and bundles are int8 for the processor",
    Provider.TENSORRT: "ro32 was tested on no GPU, and bundles are int8 for the processor",
}


def check_provider(provider: Provider) -> None:
    """Refuse a provider that cannot be used, before anything is read.

    Raises:
        UsageError: ro32 does not score with it, whether or not this onnxruntime has it.
    """
    if provider in _WHY_NOT:
        has = EXECUTION[provider] in ort.get_available_providers()
        raise UsageError(
            f"--provider {provider}: ro32 does not score with it: {_WHY_NOT[provider]}; this onnxruntime "
            f"{'has' if has else 'does not have'} it; use --provider {Provider.CPU}"
        )
