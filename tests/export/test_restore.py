"""A checkpoint made of a bundle again: the same model, but for what int8 rounds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from export.restore import restore
from ro32.errors import BundleError, InputMissingError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
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
    with pytest.raises(BundleError, match="its own base"):
        restore(Bundle.shipped(), TINY, tmp_path / "restored")
