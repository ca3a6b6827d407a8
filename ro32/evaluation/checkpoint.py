"""The checkpoint: a Hugging Face folder, opened as data only, no code. Evaluation and export read it alike.

Also one that the original's training wrote: its labels are the numbers 0 and 1, its weights may be a state dict, and
it may have no card.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelCard
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from ro32.errors import BundleError, one_line
from ro32.evaluation.weights import CONFIG, check_weights, digest_of
from ro32.model.bundle_json import CARD, LONGEST, SHORTEST, TOKENIZER
from ro32.model.positions import longest_input
from ro32.model.text import PaperTokenizer
from ro32.model.text_form import TextForm, text_form_of
from ro32.storage import strict_json

_NO_CARD = "---\nlicense: unknown\n---\n\n# {name}\n\nNo card came with this checkpoint."


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint whose settings were read and found sound."""

    folder: Path
    labels: tuple[str, str]  # in the order of the model's output; "0" and "1" where they are numbers
    form: TextForm  # what of a paper is tokenized
    max_length: int  # longest token sequence, special tokens included
    tokenizer: PaperTokenizer
    tokenizer_json: bytes  # the same, serialized
    reference: PreTrainedTokenizerBase  # the same, as transformers loads it
    digest: str  # SHA-256 in hex over the sorted names and digests of the files that decide a logit
    card: str
    licence: str
    base_model: str

    @classmethod
    def open(cls, folder: Path, *, needs_card: bool = True) -> Self:
        """Read and check a checkpoint's settings; the weights are only digested.

        What is published needs a card, for it names the licence.

        Raises:
            BundleError: The folder is no checkpoint, asks for code of its own, or contradicts itself.
        """
        try:
            for name in (CONFIG, TOKENIZER):
                _need(folder, name)
            config, parsed = _read_config(folder)
            form, labels, tokenizer_json = text_form_of(config), _labels(config), (folder / TOKENIZER).read_bytes()
            card = _read_card(folder, optional=not needs_card or form is TextForm.ORIGINAL)
            check_weights(folder)
            reference, length = _load_tokenizer(folder)
            length = _check_length(length, longest_input(parsed, tokenizer_json), form)
            return cls(
                folder=folder,
                labels=labels,
                form=form,
                max_length=length,
                tokenizer=PaperTokenizer(tokenizer_json, max_length=length, form=form),
                tokenizer_json=tokenizer_json,
                reference=reference,
                digest=digest_of(folder),
                card=card.content,
                licence=str(card.data.get("license") or "unknown"),
                base_model=str(card.data.get("base_model") or "unknown"),
            )
        except (OSError, ValueError) as error:
            raise BundleError(f"checkpoint {folder}: {one_line(error)}") from error

    @property
    def pictures(self) -> dict[str, bytes]:
        """The PNG files beside the card that it shows, by name."""
        shown = re.findall(r"\]\(([\w-]+\.png)\)", self.card)
        return {name: (self.folder / name).read_bytes() for name in shown if (self.folder / name).is_file()}


def _need(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise ValueError(f"it has no {name}; name a folder that ro32-train wrote")


def _read_config(folder: Path) -> tuple[dict[str, Any], PretrainedConfig]:
    """Read config.json as it stands, and as transformers takes it."""
    try:
        config = dict(strict_json.parse((folder / CONFIG).read_text(encoding="utf-8")))
        if "auto_map" not in config:
            return config, AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a wrong type makes transformers raise
        raise ValueError(f"{CONFIG} is not that of a model: {one_line(error)}; save the model again") from error
    raise ValueError(f"{CONFIG} asks for code of its own (auto_map); remove that entry")


def _load_tokenizer(folder: Path) -> tuple[PreTrainedTokenizerBase, int]:
    """Load the tokenizer as transformers does, with the length that its own settings name."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return tokenizer, int(tokenizer.model_max_length)
    except Exception as error:  # tokenizers raises plain Exception for a file that it cannot read
        raise ValueError(f"its tokenizer cannot be loaded: {one_line(error)}") from error


def _read_card(folder: Path, *, optional: bool) -> ModelCard:
    if optional and not (folder / CARD).is_file():
        return ModelCard(_NO_CARD.format(name=folder.resolve().name))
    _need(folder, CARD)
    try:
        return ModelCard((folder / CARD).read_text(encoding="utf-8"))
    except Exception as error:  # YAML's own, and whatever wrong keys and types raise
        raise ValueError(f"{CARD}: its header is not that of a model card: {one_line(error)}; correct it") from error


def _labels(config: dict[str, Any]) -> tuple[str, str]:
    """Return the label names in the order of the logits; two tables that disagree would swap them unseen."""
    id2label, label2id = config.get("id2label"), config.get("label2id")
    if id2label is None or label2id is None:
        raise ValueError(f"{CONFIG} names no labels (id2label, label2id); add them")
    labels = [str(id2label.get(str(index))) for index in range(len(id2label))]
    if {name: index for index, name in enumerate(labels)} != label2id:
        raise ValueError(f"id2label {id2label} and label2id {label2id} contradict each other")
    if len(labels) != 2 or len(label2id) != 2:  # noqa: PLR2004 - the category, and all other papers
        raise ValueError(f"expected two labels, found {', '.join(labels) or 'none'}; train the model on two")
    return labels[0], labels[1]


def _check_length(length: int, positions: int | None, form: TextForm) -> int:
    """Return the tokens that a paper is cut to, given the tokenizer's length and the model's."""
    most = LONGEST if positions is None else min(positions, LONGEST)
    if form is TextForm.ORIGINAL:
        length = min(length, most)  # its training took all positions, whatever the tokenizer says
    if not SHORTEST <= length <= most:
        fault = f"less than {SHORTEST}" if length < SHORTEST else f"more than the model's positions ({most})"
        raise ValueError(
            f"the tokenizer's model_max_length {length} is {fault}; set it in tokenizer_config.json to the length that "
            "training used"
        )
    return length
