"""fp32 ONNX -> int8 ONNX, by Optimum's quantizer."""

from pathlib import Path

import onnx
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig


def quantize(model: Path, folder: Path) -> Path:
    """Quantize dynamically into one file: int8 weights, a scale per channel; uint8 activations, a scale per run.

    Weights use all 8 bits. On x86 processors without VNNI, the products of two uint8 and int8 may then saturate unless
    the session is set to avoid it; 7 bits (`reduce_range`) never saturate, and cost more accuracy on every processor
    than saturation does on some (measured in docs/export.md).

    The products of attention, of two activations each, stay in fp32: quantized they are not faster and less exact
    (measured in docs/decisions.md).

    Source: https://github.com/microsoft/onnxruntime/issues/14642
    """
    recipe = AutoQuantizationConfig.avx512_vnni(
        is_static=False, per_channel=True, nodes_to_exclude=_products_of_activations(model)
    )
    ORTQuantizer(model).quantize(recipe, save_dir=folder, file_suffix="")
    return folder / model.name


def _products_of_activations(model: Path) -> list[str]:
    graph = onnx.load(model).graph
    constants = {item.name for item in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    return [node.name for node in graph.node if node.op_type == "MatMul" and constants.isdisjoint(node.input)]
