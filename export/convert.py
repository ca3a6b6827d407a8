"""Checkpoint -> ONNX in fp32, and from there in int8, by Optimum."""

import logging
import warnings
from pathlib import Path

import onnx
from optimum.exporters.onnx import onnx_export_from_model
from optimum.onnx.utils import check_model_uses_external_data
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig
from torch.jit._trace import TracerWarning
from transformers import PreTrainedModel

from ro32.errors import BundleError, one_line
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.weights import load_model
from ro32.model.bundle_json import MODEL


def convert(checkpoint: Checkpoint, folder: Path) -> Path:
    """Export a checkpoint's model to ONNX: input_ids, attention_mask, token_type_ids -> logits, all axes dynamic.

    Raises:
        BundleError: The weights cannot be loaded, the graph does not fit into one file, or the exporter knows no model
            of this type.
    """
    model = load_model(checkpoint.folder)
    try:
        path = convert_model(model, folder)
    except (ValueError, NotImplementedError, KeyError) as error:
        raise BundleError(
            f"checkpoint {checkpoint.folder}: Optimum cannot convert a model of type {model.config.model_type}: "
            f"{one_line(error)}; train one of the BERT family"
        ) from error
    if check_model_uses_external_data(path):
        # Weights in a second file would be read from wherever the process happens to run, and past the digests.
        raise BundleError(f"checkpoint {checkpoint.folder}: the model is too large for one ONNX file (2 GiB)")
    return path


def convert_model(model: PreTrainedModel, folder: Path) -> Path:
    """Export a model in evaluation mode, and return the ONNX file."""
    # It advises to install accelerate, which these models do not need.
    logging.getLogger("optimum.exporters.onnx.base").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Optimum 2.1 still asks PyTorch for the TorchScript exporter, which twice announces its end.
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based ONNX export", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning, "torch.onnx")
        # A constant 1.0 in the attention mask's inversion; the same for every input.
        warnings.filterwarnings("ignore", "torch.tensor results are registered as constants", TracerWarning)
        onnx_export_from_model(model, folder, task="text-classification", do_validation=False, device="cpu")
    return folder / MODEL


def input_names(model: Path) -> tuple[str, ...]:
    """Return the names of an ONNX file's inputs."""
    return tuple(item.name for item in onnx.load(model, load_external_data=False).graph.input)


def quantize(model: Path, folder: Path) -> Path:
    """Quantize dynamically into one file: int8 weights, a scale per channel; uint8 activations, a scale per run.

    Weights use all 8 bits. On x86 processors without VNNI, the products of two uint8 and int8 may then saturate unless
    the session is set to avoid it; 7 bits (`reduce_range`) never saturate, and cost more accuracy on every processor
    than saturation does on some (measured in docs/export.md).

    The products of attention, of two activations each, stay in fp32: quantized they are not faster and less exact
    (measured in docs/decisions.md).

    Source: https://github.com/microsoft/onnxruntime/issues/14642
    """
    graph = onnx.load(model).graph
    constants = {item.name for item in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    of_activations = [node.name for node in graph.node if node.op_type == "MatMul" and constants.isdisjoint(node.input)]
    recipe = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True, nodes_to_exclude=of_activations)
    ORTQuantizer(model).quantize(recipe, save_dir=folder, file_suffix="")
    return folder / model.name
