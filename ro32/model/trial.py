"""Tests a bundle: scores papers of every kind that a run may contain."""

import numpy as np
from tokenizers import Tokenizer

from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier

_TEXT = "A robot arm"


def try_out(bundle: Bundle) -> Classifier:
    """Load a bundle's model and score the shortest paper, the longest one, and one of the tokenizer's last token.

    Raises:
        BundleError: The model cannot be loaded, fails, or gives something else than two finite logits.
        ReadWriteError: There is not enough memory for it.
    """
    classifier = Classifier(bundle)
    if bundle.manifest.has_encoder:
        _try_encoder(bundle, classifier)
    if not np.isfinite(classifier.predict_proba([_TEXT], threads=1)).all():
        raise BundleError(f"bundle {bundle.manifest.name}: a paper of three words has no score; export it again")
    return classifier


def _try_encoder(bundle: Bundle, classifier: Classifier) -> None:
    manifest = bundle.manifest
    longest = classifier.encode("", " ".join([_TEXT] * manifest.max_length))
    last = max(Tokenizer.from_buffer(bundle.tokenizer).get_vocab().values())  # it fails if the embedding is too small
    for input_ids in (classifier.encode(_TEXT[:1], ""), longest, longest[:1] + [last] * (len(longest) - 1)):
        logits = classifier.logits(input_ids)
        if logits.shape != (len(manifest.labels),) or not np.isfinite(logits).all():
            raise BundleError(
                f"bundle {manifest.name}: expected {len(manifest.labels)} finite logits of a paper of {len(input_ids)} "
                f"tokens, found {logits}; export it again"
            )
