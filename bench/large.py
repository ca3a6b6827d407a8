"""Makes a bundle with an encoder of BERT-base's size, 110 million random weights: it is as slow as a real one.

Its linear view, tokenizer, length and cascade are those of another bundle, so both leave the same papers to the
encoder. What it says of them means nothing.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import BertConfig, BertForSequenceClassification

from export.convert import convert_model, input_names
from export.quantize import quantize
from export.simplify import simplify
from ro32.model.bundle import MANIFEST, MODEL, Bundle, sha256
from ro32.model.publish import publish

SEED = 1


def make_large(source: Path, target: Path) -> None:
    """Export a random encoder of BERT-base's size into a copy of a bundle.

    Args:
        source: The bundle to take all else from.
        target: The folder to appear.
    """
    manifest = Bundle.load(source).manifest
    torch.manual_seed(SEED)
    model = BertForSequenceClassification(BertConfig(num_labels=len(manifest.labels))).eval()
    files = {name: (source / name).read_bytes() for name in manifest.files}
    with TemporaryDirectory() as work:
        fp32 = convert_model(model, Path(work) / "fp32")
        one_paper = simplify(fp32, Path(work) / "one-paper.onnx", max_length=manifest.max_length).path
        files[MODEL] = quantize(one_paper, Path(work) / "int8").read_bytes()
        inputs = input_names(one_paper)
    files[MANIFEST] = replace(
        manifest,
        name="random weights of BERT-base's size",
        inputs=inputs,
        quality={},
        files={name: sha256(content) for name, content in files.items()},
    ).to_bytes()
    publish(target, files, overwrite=False)
