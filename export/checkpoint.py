"""The checkpoint: a Hugging Face folder, opened as data only, no code.

Also one that the original's training wrote: its labels are the numbers 0 and 1, its weights may be a state dict, and
it may have no card.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from huggingface_hub import ModelCard
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ro32.errors import BundleError
from ro32.evaluation.weights import CONFIG, check_weights, digest_of
from ro32.model.bundle_json import CARD, TOKENIZER
from ro32.model.text_form import TextForm, form_of
from ro32.storage import strict_json

_NO_CARD = "---\nlicense: unknown\n---\n\n# {name}\n\nNo card came with this checkpoint."


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint whose settings were read and found sound."""

    folder: Path
    labels: tuple[str, ...]  # one per logit, in the order of the model's output; "0" and "1" where they are numbers
    form: TextForm  # what of a paper is tokenized
    max_length: int  # longest token sequence, special tokens included
    separator: str
    tokenizer: PreTrainedTokenizerBase  # as transformers loads it
    digest: str  # SHA-256 in hex over the sorted names and digests of the files that decide a logit
    card: str
    licence: str
    base_model: str

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read and check a checkpoint's settings; the weights are only digested.

        Raises:
            BundleError: The folder is no checkpoint, wants to run code, or contradicts itself.
        """
        _need(folder, CONFIG)
        config = _read_config(folder)
        try:
            form = form_of(config)
        except ValueError as error:
            raise BundleError(f"checkpoint {folder}: {CONFIG}: {error}; update ro32") from error
        _need(folder, TOKENIZER)
        if form is not TextForm.ORIGINAL:
            _need(folder, CARD)
        check_weights(folder)
        tokenizer = _load_tokenizer(folder)
        path, name = folder / CARD, folder.resolve().name
        card = ModelCard(path.read_text(encoding="utf-8") if path.is_file() else _NO_CARD.format(name=name))
        return cls(
            folder=folder,
            labels=_labels(folder, config),
            form=form,
            max_length=_max_length(folder, config, tokenizer, form),
            separator=str(tokenizer.sep_token),
            tokenizer=tokenizer,
            digest=digest_of(folder),
            card=card.content,
            licence=str(card.data.get("license") or "unknown"),
            base_model=str(card.data.get("base_model") or "unknown"),
        )

    @property
    def tokenizer_json(self) -> bytes:
        """The fast tokenizer, serialized."""
        return (self.folder / TOKENIZER).read_bytes()

    @property
    def pictures(self) -> dict[str, bytes]:
        """The PNG files beside the card that it shows, by name."""
        shown = re.findall(r"\]\(([\w-]+\.png)\)", self.card)
        return {name: (self.folder / name).read_bytes() for name in shown if (self.folder / name).is_file()}


def _need(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise BundleError(f"checkpoint {folder}: it has no {name}; name a folder that ro32-train wrote")


def _read_config(folder: Path) -> dict[str, object]:
    try:
        config = strict_json.parse((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"checkpoint {folder}: {CONFIG} is not JSON: {error}") from error
    if "auto_map" in config:
        raise BundleError(f"checkpoint {folder}: {CONFIG} asks for code of its own (auto_map); remove that entry")
    return dict(config)


def _load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # tokenizers raises plain Exception for a file that it cannot read
        raise BundleError(f"checkpoint {folder}: its tokenizer cannot be loaded: {error}") from error
    if not tokenizer.is_fast or tokenizer.sep_token is None:
        raise BundleError(f"checkpoint {folder}: expected a fast tokenizer with a separator token")
    return tokenizer


def _labels(folder: Path, config: dict[str, object]) -> tuple[str, ...]:
    """Return the label names in the order of the logits; two tables that disagree would swap them unseen."""
    id2label, label2id = config.get("id2label"), config.get("label2id")
    if not isinstance(id2label, dict) or not isinstance(label2id, dict):
        raise BundleError(f"checkpoint {folder}: {CONFIG} names no labels (id2label, label2id); add them")
    labels = tuple(str(id2label.get(str(index))) for index in range(len(id2label)))
    if {name: index for index, name in enumerate(labels)} != label2id:
        raise BundleError(f"checkpoint {folder}: id2label {id2label} and label2id {label2id} contradict each other")
    return labels


def _max_length(folder: Path, config: dict[str, object], tokenizer: PreTrainedTokenizerBase, form: TextForm) -> int:
    length, positions = int(tokenizer.model_max_length), config.get("max_position_embeddings")
    if form is TextForm.ORIGINAL and isinstance(positions, int):
        return min(length, positions)  # its training took all positions, whatever the tokenizer says
    if not isinstance(positions, int) or length > positions:
        raise BundleError(
            f"checkpoint {folder}: the tokenizer's model_max_length {length} is more than the model's positions "
            f"({positions}); set it in tokenizer_config.json to the length that training used"
        )
    return length
