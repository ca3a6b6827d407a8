"""`python -m export.restore`: convert a published bundle back to a checkpoint that training can start from.

int8 rounds a weight by 0.2 % of its column's largest at most, which a fine-tuning forgets in its first steps; the hours
that the bundle's training took are kept.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from huggingface_hub import ModelCardData
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ro32.cli.parameters import HELP, PATH
from ro32.cli.process import run
from ro32.errors import BundleError, InputDataError, InputMissingError, one_line
from ro32.evaluation.weights import CONFIG
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, TOKENIZER
from ro32.model.publish import appear, check_target
from ro32.model.text import TOKENIZER_FILES
from ro32.model.text_form import CONFIG_KEY
from ro32.train.config import SMALL
from ro32.train.encoder import WEIGHTS_FILES, locate

PREFIX, HEAD = "bert.", "classifier."
WORDS, TYPES, POSITIONS = (f"bert.embeddings.{name}_embeddings.weight" for name in ("word", "token_type", "position"))
_QUANTIZED = "_quantized"
Weights = dict[str, NDArray[np.float32]]


def restore_weights(model: onnx.ModelProto, base: Mapping[str, NDArray[Any]]) -> Weights:
    """Return a BERT classifier's weights, named as transformers does, from what export made of a checkpoint.

    Rows of positions beyond the bundle's longest text are taken from the base, the model that it was fine-tuned from.

    Raises:
        BundleError: The graph is of another kind, or not of this base.
    """
    held = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    own = [name for name in held if name.startswith((PREFIX, HEAD)) and name.endswith((".weight", ".bias"))]
    found: Weights = {name: held[name] for name in own}
    for node in model.graph.node:
        if node.op_type == "MatMulInteger" and node.input[1] in held:
            name = node.input[1].removesuffix(_QUANTIZED)
            product, _, _ = node.output[0].partition("/MatMul")
            named = name.removesuffix("_Transposed") if name.startswith((PREFIX, HEAD)) else None
            found[named or f"{product.strip('/').replace('/', '.')}.weight"] = _dequantize(held, name).T.copy()
        elif node.op_type == "Gather" and node.input[0] == f"{WORDS}{_QUANTIZED}":
            found[WORDS] = _dequantize(held, WORDS)
    tables = [value for value in held.values() if value.ndim == 3 and value.shape[0] == 1]  # noqa: PLR2004 - (1, t, h)
    if len(tables) != 1:
        raise BundleError(f"expected one table of positions in the graph, found {len(tables)}; restore a BERT's bundle")
    (table,) = tables[0]
    # The graph adds positions and the first token type as one; how they share it does not matter.
    found[TYPES] = np.array(base[TYPES], dtype=np.float32)
    found[POSITIONS] = np.array(base[POSITIONS], dtype=np.float32)
    if found[POSITIONS].shape[1:] == table.shape[1:]:
        found[POSITIONS][: len(table)] = table - found[TYPES][0]
    wrong = [name for name, value in base.items() if name not in found or found[name].shape != value.shape]
    if wrong:
        others = len(wrong) - 1
        raise BundleError(f"{wrong[0]} and {others} others: not in the bundle as in the base; name its own with --base")
    return found


def _dequantize(held: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Return scale * (q - zero point), of whole arrays or by column."""
    levels = held[f"{name}{_QUANTIZED}"].astype(np.float32) - held[f"{name}_zero_point"].astype(np.float32)
    return np.asarray(levels * held[f"{name}_scale"], dtype=np.float32)


def restore(bundle: Bundle, base: Path, output: Path) -> None:
    """Write a checkpoint of a bundle's encoder: an ordinary Hugging Face folder of a classifier of its labels.

    Raises:
        BundleError: The bundle holds another kind of model.
        InputMissingError: The base is not there.
        InputDataError: The base cannot be read.
        OutputError: The output is there already, or cannot be written.
    """
    check_target(output, overwrite=False)
    if not bundle.manifest.has_encoder:
        raise BundleError(f"bundle {bundle.manifest.name}: it has no encoder; restore another")
    try:
        weights = {
            name if name.startswith((PREFIX, HEAD)) else f"{PREFIX}{name}": value
            for name, value in load_file(base / WEIGHTS_FILES[0]).items()
            if not name.endswith("position_ids")
        }
        config = json.loads((base / CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputMissingError(f"{base}: not a checkpoint: {error}; name the base model of the bundle") from error
    except (ValueError, SafetensorError) as error:
        raise InputDataError(f"{base}: cannot be read: {one_line(error)}; get the base model again") from error
    restored = restore_weights(onnx.load_from_string(bundle.model), weights)
    labels = bundle.manifest.labels
    config |= {
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": "single_label_classification",
        CONFIG_KEY: str(bundle.manifest.form),
    }
    config.pop("_name_or_path", None)
    source = bundle.manifest.source
    data = ModelCardData(license=source.get("licence", "unknown"), base_model=source.get("base_model"))
    text = f"The encoder of the bundle {bundle.digest}, restored from its {source.get('variant', 'int8')} weights."
    files = {name: (base / name).read_bytes() for name in TOKENIZER_FILES if (base / name).exists()} | {
        WEIGHTS_FILES[0]: save(restored, metadata={"format": "pt"}),
        CONFIG: (json.dumps(config, indent=2) + "\n").encode(),
        TOKENIZER: bundle.tokenizer,
        CARD: f"---\n{data.to_yaml()}\n---\n\n{text}\n".encode(),
    }
    appear(output, files, check=lambda _folder: None)


@click.command(name="export.restore", context_settings=HELP)
@click.argument("folder", type=PATH, metavar="BUNDLE")
@click.option("-o", "--output", required=True, metavar="FOLDER", type=PATH, help="Checkpoint to write.")
@click.option(
    "--base",
    metavar="FOLDER",
    type=PATH,
    help="Base model that the encoder was fine-tuned from.  [default: the packaged MiniLM]",
)
def command(*, folder: Path, output: Path, base: Path | None) -> None:
    """Convert the encoder of BUNDLE back to a checkpoint for ro32-train --base."""
    restore(Bundle.load(folder), base or Path(locate(SMALL.base)), output)


if __name__ == "__main__":
    run(command)
