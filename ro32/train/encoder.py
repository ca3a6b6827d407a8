"""The base model: located, validated, and given a new classification head."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils.hub import cached_file

from ro32.errors import InputDataError, InputMissingError, UsageError, few, one_line
from ro32.model.positions import longest_input
from ro32.model.text import TOKENIZER_FILES, PaperTokenizer
from ro32.model.text_form import CONFIG_KEY, text_form_of
from ro32.train.config import PUBLISHED_NAMES, Recipe
from ro32.train.first_token import compute_first_token_only

LABELS = 2
"""Outputs of the head that are the two labels; those of the auxiliary task follow."""
PACKAGE = "package:"
TOKENIZER_CONFIG = "tokenizer_config.json"
WEIGHTS_FILES = ("model.safetensors", "model.safetensors.index.json")
"""Weights, whole or in pieces. Pickled ones (pytorch_model.bin) are never read: unpickling runs what they say."""
DROPOUTS = {
    "dropout": ("hidden_dropout_prob", "dropout"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout"),
}
"""What model types call the recipe's."""


class Encoder:
    """A base model (a folder, a hub name, or `package:NAME/folder`), checked before anything expensive happens.

    Raises:
        InputMissingError: It cannot be found.
        InputDataError: It is no encoder, has no safetensors weights or no fast tokenizer of the BERT family, or one of
            its files cannot be read.
        UsageError: It reads fewer than `max_length` tokens.
    """

    def __init__(self, base: str, *, max_length: int) -> None:
        self._base, self._place = base, locate(base)
        self.config = _read_config(base, self._place)
        self._own_labels = dict(self.config.id2label or {})
        try:
            self.form = text_form_of(self.config.to_dict())
        except ValueError as error:
            raise InputDataError(f"base model {base}: config.json: {error}") from error
        if not any(_file(self._place, name) for name in WEIGHTS_FILES):
            raise InputDataError(f"base model {base}: has no {WEIGHTS_FILES[0]}; save it with safe_serialization=True")
        if (path := _file(self._place, "tokenizer.json")) is None:
            raise InputDataError(f"base model {base}: has no tokenizer.json; name a base with a fast tokenizer")
        self.tokenizer_json = path.read_bytes()
        try:
            PaperTokenizer(self.tokenizer_json, max_length=max_length, form=self.form)
            positions = longest_input(self.config, self.tokenizer_json)
        except ValueError as error:
            raise InputDataError(f"base model {base}: {error}; name a base of the BERT family") from error
        card, settings = (_file(self._place, name) for name in ("README.md", TOKENIZER_CONFIG))
        try:
            self._card: dict[str, Any] = {} if card is None else ModelCard.load(card).data.to_dict()
            self._settings: dict[str, Any] = {} if settings is None else dict(json.loads(settings.read_bytes()))
        except Exception as error:  # YAML's own, and whatever wrong keys and types raise
            raise InputDataError(
                f"base model {base}: its README.md or {TOKENIZER_CONFIG} cannot be read: {one_line(error)}; correct it"
            ) from error
        if positions is not None and max_length > positions:
            raise UsageError(
                f"--max-length or --scoring-length {max_length}: {base} reads at most {positions} tokens; choose fewer"
            )

    def build(self, recipe: Recipe, auxiliary: Mapping[str, float] | None = None) -> PreTrainedModel:
        """Load the encoder in float32, with a new head whose weights come from the recipe's seed.

        A base that is a classifier of the same two labels keeps its outputs for them, and one that has a head for as
        many outputs keeps that one. The categories of the auxiliary task, each with its share of the papers, are
        further outputs of the head, and start at the log-odds of their share.

        Raises:
            InputDataError: The base model's weights cannot be read, or are not those that its configuration announces.
        """
        config, auxiliary = self.config, auxiliary or {}
        config.id2label = recipe.id2label | dict(enumerate(auxiliary, LABELS))
        config.label2id = {name: index for index, name in config.id2label.items()}
        config.problem_type = "single_label_classification"
        setattr(config, CONFIG_KEY, str(recipe.text_form or self.form))
        for field, names in DROPOUTS.items():
            share = getattr(recipe, field)
            for name in names:
                if share is not None and hasattr(config, name):
                    setattr(config, name, share)
        torch.manual_seed(recipe.seed)
        # Eager attention: on a CPU in bfloat16 6 % faster than the fused kernel; XLA fuses it itself.
        model: PreTrainedModel
        try:
            model, loaded = AutoModelForSequenceClassification.from_pretrained(
                self._place,
                config=config,
                dtype=torch.float32,
                attn_implementation="eager",
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # of a head for other outputs
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputDataError(
                f"base model {self._place}: its weights cannot be read: {one_line(error)}; get the model again"
            ) from error
        # Releases of transformers differ in whether the shapes stand beside the name.
        found = [name if isinstance(name, str) else name[0] for name in loaded["mismatched_keys"]]
        found += [name for name in loaded["missing_keys"] if ".pooler." not in name]  # which not every base has
        wrong = [name for name in found if name.startswith(f"{model.base_model_prefix}.")]
        if wrong:  # random numbers would stand in their place
            raise InputDataError(
                f"base model {self._place}: missing, or of another shape than its configuration says: {few(wrong, 3)}; "
                "get the model again"
            )
        with torch.no_grad():
            for name, tensor in self._kept_head(recipe).items():
                model.get_parameter(name)[:LABELS] = tensor
            if auxiliary:
                shares = torch.tensor(list(auxiliary.values()))
                _output_layer(model).bias[LABELS:] = torch.logit(shares, eps=1e-6)
        _freeze(model, recipe.frozen_layers)
        compute_first_token_only(model)
        return model

    def _kept_head(self, recipe: Recipe) -> dict[str, torch.Tensor]:
        """Return the output layer of a base that is a classifier of the same two labels already, by name; else none."""
        path = _file(self._place, WEIGHTS_FILES[0])
        if self._own_labels != recipe.id2label or path is None:
            return {}
        head = {name: tensor for name, tensor in load_file(path).items() if name.startswith("classifier.")}
        return {name: tensor for name, tensor in head.items() if len(tensor) == LABELS}

    def build_published(self, recipe: Recipe, trained: Mapping[str, torch.Tensor]) -> PreTrainedModel:
        """Return the model with the weights of one that `build` made, of the head only the two labels' outputs."""
        model = self.build(recipe)
        own = model.state_dict()
        model.load_state_dict({name: tensor[: len(own[name])] for name, tensor in trained.items()})
        return model

    def write_tokenizer(self, folder: Path, *, max_length: int) -> None:
        """Put the tokenizer's files into a checkpoint, with the length that was trained on."""
        (folder / "tokenizer.json").write_bytes(self.tokenizer_json)
        for name in TOKENIZER_FILES:
            if (path := _file(self._place, name)) is not None:
                (folder / name).write_bytes(path.read_bytes())
        settings = self._settings | {"model_max_length": max_length}
        settings.pop("name_or_path", None)  # a path of the machine it was made on
        text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        (folder / TOKENIZER_CONFIG).write_text(text, encoding="utf-8")

    @property
    def published(self) -> str | None:
        """What the base is called on a hub; of a folder, what its card says that it was made from."""
        if not Path(self._place).exists():
            return self._place
        return PUBLISHED_NAMES.get(self._base) or self.of_card("base_model")

    def of_card(self, field: str) -> str | None:
        """Return what the base model's own card states in a field of text, if anything."""
        found = self._card.get(field)
        return found if isinstance(found, str) else None


def _freeze(model: PreTrainedModel, layers: int) -> None:
    """Exclude the embeddings and the lowest layers from training: nothing at all for 0."""
    if layers:
        base: Any = model.base_model
        found = getattr(getattr(base, "encoder", None), "layer", ())  # as BERT, RoBERTa, MPNet and ELECTRA name them
        if layers > len(found):
            raise UsageError(
                f"--frozen-layers {layers}: of a base of type {model.config.model_type}, {len(found)} layers can be"
                " frozen; choose fewer"
            )
        for module in (base.embeddings, *found[:layers]):
            module.requires_grad_(False)  # noqa: FBT003 - torch's own signature


def _output_layer(model: PreTrainedModel) -> nn.Linear:
    """Return the head's last layer, which model types name in different ways."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return next(layer for layer in reversed(layers) if layer.out_features == model.config.num_labels)


def locate(base: str) -> str:
    """Return the folder of a base in a package, and what others are called as it is."""
    if not base.startswith(PACKAGE):
        return base
    package, _, rest = base.removeprefix(PACKAGE).partition("/")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # of a package that is not there, or a name that is none
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise InputMissingError(
            f"base model {base}: no package {package}; pip install {package.replace('_', '-')}, or name another --base"
        )
    return str(Path(spec.submodule_search_locations[0]) / rest)


def _read_config(base: str, place: str) -> PretrainedConfig:
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(place, trust_remote_code=False)
    except Exception as error:  # no network, no such folder, and whatever another JSON makes transformers raise
        first = str(error).partition("\n")[0].partition(". ")[0]  # a list of all models may follow
        reason = first.rstrip(".") or type(error).__name__
        raise InputMissingError(
            f"base model {base}: cannot be loaded: {reason}; name a folder, or a model of a hub that can be reached"
        ) from error
    is_encoder = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not (config.is_encoder_decoder or config.is_decoder)
    if not is_encoder or type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise InputDataError(
            f"base model {base}: is of type {config.model_type}, which is not an encoder for classification; name one "
            "of the BERT family"
        )
    return config


def _file(place: str, name: str) -> Path | None:
    try:
        path = cached_file(
            place, name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
        )
    except OSError:
        return None
    return None if path is None else Path(path)
