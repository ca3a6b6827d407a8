"""The encoder of a bundle in onnxruntime: one thread inside a session, and exact int8 products."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.processor import int8_saturates
from ro32.model.text import PaperTokenizer

INPUT = "input_ids"
FILLED = {"attention_mask": 1, "token_type_ids": 0}
"""What every element of a model's other inputs is, since a run holds one unpadded paper."""
SLOWER = ("SkipLayerNormFusion",)
"""Rewritings by onnxruntime that make a model slower: its SkipLayerNormalization took 7 times as long as the addition
and the LayerNormalization that it takes the place of (docs/decisions.md, section Export)."""
_ELSEWHERE = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")
"""How protobuf writes the key `location` of a tensor whose numbers are in another file: the number of the field and the
length, each of as many bytes as a writer likes, and the text.

Sources: https://protobuf.dev/programming-guides/encoding, and StringStringEntryProto in
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A tokenizer and a session that are ready to score; the model's other inputs, and what each is full of."""

    tokenizer: PaperTokenizer
    session: ort.InferenceSession
    filled: dict[str, int]

    @classmethod
    def start(cls, bundle: Bundle) -> Self:
        """Start the encoder of a bundle that has one.

        Raises:
            BundleError: onnxruntime or tokenizers cannot use what is in the bundle.
        """
        manifest = bundle.manifest
        try:
            tokenizer = PaperTokenizer(bundle.tokenizer, max_length=manifest.max_length, form=manifest.form)
            session = open_session(bundle.model, session_options())
        except Exception as error:  # onnxruntime's exceptions have no common base but Exception
            raise BundleError(f"bundle {manifest.name}: unusable: {error}; export it again") from error
        if tokenizer.separator != manifest.separator:
            raise BundleError(
                f"bundle {manifest.name}: the tokenizer ends a text with {tokenizer.separator}, the manifest says "
                f"{manifest.separator}; export it again"
            )
        shape = session.get_outputs()[0].shape
        if shape[-1:] != [len(manifest.labels)]:
            raise BundleError(
                f"bundle {manifest.name}: expected {len(manifest.labels)} logits, one for each label, found an output "
                f"of the shape {shape}; export it again"
            )
        inputs, known = {item.name for item in session.get_inputs()}, {INPUT, *FILLED}
        expected = set(manifest.inputs) or {INPUT} | (inputs & known)
        if inputs != expected or not inputs <= known:
            raise BundleError(
                f"bundle {manifest.name}: expected a model that takes {', '.join(sorted(expected))}, "
                f"found one that takes {', '.join(sorted(inputs))}; export it again"
            )
        filled = {name: number for name, number in FILLED.items() if name in inputs}
        return cls(tokenizer=tokenizer, session=session, filled=filled)

    def feeds(self, input_ids: Sequence[int]) -> dict[str, NDArray[np.int64]]:
        """Return the model's inputs for one paper of t token ids, each of shape (1, t)."""
        ids = np.asarray([input_ids], dtype=np.int64)
        return {INPUT: ids} | {name: np.full_like(ids, number) for name, number in self.filled.items()}


def session_options() -> ort.SessionOptions:
    """Return the session options: one thread, the calling one, and exact int8 products."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors; warnings about our own graph help no operator
    if int8_saturates():  # elsewhere it would change nothing and take two thirds more time
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def has_external_data(model: bytes) -> bool:
    """Return whether a tensor of a serialized ONNX model, wherever it stands, keeps its numbers in another file."""
    return b"location" in model and _ELSEWHERE.search(model) is not None  # the first alone takes milliseconds


def open_session(model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    """Open a session of an ONNX model.

    Raises:
        ValueError: Its weights lie in another file, which onnxruntime would look for in the working folder.
    """
    if has_external_data(model):
        raise ValueError("its weights lie in another file, which no digest covers")
    return ort.InferenceSession(
        model, sess_options=options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER
    )
