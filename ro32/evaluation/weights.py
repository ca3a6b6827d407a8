"""The files of a checkpoint, and its weights, opened as data only: safetensors, or the original's state dict."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from ro32.errors import BundleError
from ro32.model.bundle_json import TOKENIZER, sha256
from ro32.model.text import TOKENIZER_FILES

STATE_DICT = "model.pth"
CONFIG = "config.json"
_DECIDE = ("*.safetensors", STATE_DICT, "*.safetensors.index.json", CONFIG, TOKENIZER, *TOKENIZER_FILES)
"""All that decides a logit; the card and training's notes may change without making another model."""
_NO_WEIGHTS = "position_ids"  # a table of 0, 1, 2, ... that older releases of transformers saved among the weights


def check_weights(folder: Path) -> None:
    """Check that a checkpoint has weights of a kind that is read.

    Raises:
        BundleError: It has none.
    """
    if not any(folder.glob("*.safetensors")) and not (folder / STATE_DICT).is_file():
        raise BundleError(
            f"checkpoint {folder}: it has no *.safetensors and no {STATE_DICT}; save the weights as safetensors, "
            "since other formats can run code when they are loaded"
        )


def deciding_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint that decide a logit, sorted."""
    return sorted({path for pattern in _DECIDE for path in folder.glob(pattern)})


def digest_of(folder: Path) -> str:
    """Return the SHA-256 in hex over the sorted names and digests of the files that decide a logit."""
    lines = []
    for path in deciding_files(folder):
        with path.open("rb") as file:
            lines.append(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n")
    return sha256("".join(lines).encode())


def load_model(folder: Path) -> PreTrainedModel:
    """Load a classifier in float32, ready to infer, from a folder's safetensors, or without any from its state dict.

    Raises:
        BundleError: The weights cannot be read without running code, or do not fit the configuration.
    """
    check_weights(folder)
    try:
        if any(folder.glob("*.safetensors")):
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
            missing = [*report["missing_keys"], *report["mismatched_keys"]]
        else:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False).float()
            missing = _fill(model, _read_state_dict(folder / STATE_DICT))
    except Exception as error:  # transformers raises whatever a damaged configuration makes it raise
        raise BundleError(f"checkpoint {folder}: its weights cannot be loaded: {error}") from error
    if missing:  # random numbers would stand in their place
        raise BundleError(
            f"checkpoint {folder}: weights are missing or of another shape: {', '.join(map(str, missing))}; "
            "save the whole model"
        )
    loaded: PreTrainedModel = model.eval()
    return loaded


def _read_state_dict(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever its bytes make it raise
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path.name} holds more than tensors, or is damaged ({reason})") from error
    if not isinstance(found, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise ValueError(f"{path.name}: expected a state dict, tensors by name; save model.state_dict()")
    return found


def _fill(model: PreTrainedModel, state: Mapping[str, torch.Tensor]) -> list[str]:
    """Give a model its weights, and return the names of those that are missing, unknown, or of another shape."""
    own = model.state_dict()
    given = {name: tensor for name, tensor in state.items() if name in own or not name.endswith(_NO_WEIGHTS)}
    wrong = [name for name in own if name not in given or given[name].shape != own[name].shape]
    wrong += [name for name in given if name not in own]
    if not wrong:
        model.load_state_dict(given)
    return wrong
