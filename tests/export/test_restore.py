"""A checkpoint made of a bundle again: the same model, but for what int8 rounds."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from export.restore import restore
from ro32.errors import BundleError, InputDataError, InputMissingError, OutputError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.views import View
from ro32.train.config import SMALL
from ro32.train.encoder import locate

TINY = Path(__file__).parents[1] / "data" / "tiny_checkpoint"
TEXTS = (("A grasping robot arm", "We control a manipulator."), ("Galaxies", "We observe galaxies at night."))
ATOL = 0.3
"""Of logits that lie some 8 apart: what int8 activations differ by, which the restored model does not have."""


def test_the_restored_model_gives_the_bundles_logits(tmp_path: Path) -> None:
    bundle = Bundle.shipped()
    restore(bundle, Path(locate(SMALL.base)), tmp_path / "restored")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "restored").eval()
    assert model.config.id2label == dict(enumerate(bundle.manifest.labels))
    classifier = Classifier(bundle)
    for text in TEXTS:
        ids = classifier.encode(*text)
        with torch.no_grad():
            found = model(input_ids=torch.tensor([ids])).logits.numpy()[0]
        np.testing.assert_allclose(found, classifier.logits(ids), rtol=0, atol=ATOL)


def test_another_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match="base"):
        restore(Bundle.shipped(), tmp_path / "base", tmp_path / "restored")
    with pytest.raises(BundleError, match="its own with --base"):
        restore(Bundle.shipped(), TINY, tmp_path / "restored")


def test_what_cannot_be_restored_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    base = Path(shutil.copytree(TINY, tmp_path / "base"))
    (base / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputDataError, match="cannot be read"):
        restore(Bundle.shipped(), base, tmp_path / "restored")
    bundle = Bundle.load(tiny_bundle)
    alone = View(intercept=0.0, encoder=0.0, linear=1.0, threshold=bundle.manifest.threshold)
    files = {"linear.safetensors": "0" * 64}
    without = replace(bundle.manifest, max_length=0, view="linear", views={"linear": alone}, files=files)
    with pytest.raises(BundleError, match="has no encoder"):
        restore(replace(bundle, manifest=without), TINY, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_what_is_there_is_left_alone() -> None:
    before = (TINY / "README.md").read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        restore(Bundle.shipped(), Path(locate(SMALL.base)), TINY)
    assert (TINY / "README.md").read_bytes() == before
