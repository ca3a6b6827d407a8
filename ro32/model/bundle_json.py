"""The manifest of a bundle, bundle.json: its settings, measured quality, and the digest of each other file.

It is written in one canonical form and read only in that form, its own digest included, so that no byte of a bundle can
change unnoticed.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ro32.errors import BundleError
from ro32.model.cascade import AUDIT_SHARE, Cascade, Certificate
from ro32.model.fields import check_types
from ro32.model.text_form import TextForm
from ro32.model.views import View, ViewName
from ro32.storage import strict_json

FORMAT_VERSION = 1
MANIFEST = "bundle.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
LINEAR = "linear.safetensors"
CURVES = "curves.csv"
CASCADE = "cascade.csv"
CARD = "README.md"
_NOT_SCORING = frozenset({"name", "threshold", "inputs", "quality", "source", "tools", "views", "view", "cascade"})
"""Fields that change no score as they stand. Of views and cascade the numbers that make scores do, and are added."""
_NOT_IN_OLDER = frozenset({"text_form", "inputs", "views", "view", "cascade"})
"""Fields that are left out where they say nothing, as older bundles do not have them."""
_ENCODER_ALONE = View(intercept=0.0, encoder=1.0, linear=0.0, threshold=0.5)
"""How a bundle without views scores: by the softmax of two logits. The threshold is not used."""
SHORTEST, LONGEST = 4, 8192
"""Tokens: two special ones at the ends, one between and one of text; and a length whose attention fits into memory."""
_FILE_NAME = re.compile(r"[\w+-][\w.+ -]{0,200}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What bundle.json says.

    Attributes:
        name: What the bundle is called in reports.
        labels: One name per logit, in the order of the model's output.
        positive_label: The label whose probability is the score.
        threshold: A paper gets the positive label when its score is at least this.
        max_length: Longest token sequence the model sees, special tokens included; 0 if there is no encoder.
        separator: Token between title and abstract, and at the end.
        text_form: What of a paper is tokenized (`ro32.model.text_form`); older bundles do not say, and mean ro32's.
        inputs: What the model takes; older bundles do not say.
        quality: Measured figures, by measure; free-form for readers, ignored by the scorer.
        source: Where the weights come from: digest of the checkpoint, licence, command.
        tools: Versions of what built the bundle.
        files: SHA-256 in hex of each other file in the folder, by name.
        views: Ways to score a paper, by name. Without any, the score is the softmax of the encoder's logits as it is.
        view: The one of them that scores; `threshold` is its threshold.
        cascade: Which papers the linear view alone may decide; none if that was not certified.
        format_version: Version of this layout.
    """

    name: str
    labels: tuple[str, ...]
    positive_label: str
    threshold: float
    max_length: int
    separator: str
    text_form: str | None = None
    inputs: tuple[str, ...] = ()
    quality: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    view: str | None = None
    cascade: Cascade | None = None
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        check_types(self)
        if self.format_version != FORMAT_VERSION:
            raise BundleError(f"format version {self.format_version} is not {FORMAT_VERSION}; update ro32")
        if len(set(self.labels)) != 2 or len(self.labels) != 2 or self.positive_label not in self.labels:  # noqa: PLR2004
            raise BundleError(
                f"expected two labels, one of them the positive one, found {self.labels} and {self.positive_label!r}"
            )
        if not 0 < self.threshold < 1:
            raise BundleError(f"threshold {self.threshold} is not between 0 and 1")
        if self.has_encoder and not SHORTEST <= self.max_length <= LONGEST:
            raise BundleError(f"max_length {self.max_length} is not between {SHORTEST} and {LONGEST:,} tokens")
        if self.text_form not in {None, *TextForm}:
            raise BundleError(f"text_form: expected {' or '.join(TextForm)}, found {self.text_form!r}; update ro32")
        for name, digest in self.files.items():
            if not _FILE_NAME.fullmatch(name) or not SHA256.fullmatch(digest):
                raise BundleError(f"files: expected plain file names and SHA-256 in hex, found {name!r}: {digest!r}")
        self._check_views()

    def _check_views(self) -> None:
        if unknown := set(self.views) - set(ViewName):
            raise BundleError(f"views: expected {', '.join(ViewName)}, found {min(unknown)!r}")
        if not self.has_encoder and (self.view is None or any(view.encoder for view in self.views.values())):
            raise BundleError("max_length 0 says that there is no encoder, but papers are scored by one")
        if self.views or self.view is not None:
            if self.view is None or self.view not in self.views:
                raise BundleError(f"view {self.view!r} is not one of the views {sorted(self.views)}")
            if self.threshold != self.scoring_view.threshold:
                raise BundleError(f"threshold {self.threshold} is not that of the view {self.view!r}")
        if self.cascade is not None and not self.scoring_view.linear:
            raise BundleError("a cascade screens by the linear view, but papers are scored without one")
        if LINEAR not in self.files and any(view.linear for view in self.views.values()):
            raise BundleError(f"a view asks for the linear view, but the bundle has no {LINEAR}")

    @property
    def form(self) -> TextForm:
        """What of a paper is tokenized."""
        return TextForm.RO32 if self.text_form is None else TextForm(self.text_form)

    @property
    def has_encoder(self) -> bool:
        """Whether there is more than a linear view."""
        return self.max_length != 0

    @property
    def scoring_view(self) -> View:
        """The view that scores."""
        return _ENCODER_ALONE if self.view is None else self.views[self.view]

    @property
    def positive_index(self) -> int:
        """Position of the positive label among the logits."""
        return self.labels.index(self.positive_label)

    @property
    def negative_label(self) -> str:
        """The label of a paper below the threshold."""
        return next(label for label in self.labels if label != self.positive_label)

    @property
    def scoring_digest(self) -> str:
        """SHA-256 in hex of all that a score depends on besides the text: not names, threshold or figures."""
        body = {name: value for name, value in asdict(self).items() if name not in _NOT_SCORING}
        body["files"] = {name: digest for name, digest in self.files.items() if name in {MODEL, TOKENIZER, LINEAR}}
        if self.form is TextForm.RO32:
            del body["text_form"]  # as in older bundles, which score alike
        if self.view is not None:
            body["weights"] = self.scoring_view.weights
        if self.cascade is not None:
            body["cascade"] = self.cascade.scoring
        return sha256(_canonical(body))

    def to_bytes(self) -> bytes:
        """Serialize in the one canonical form, own digest included."""
        body = {name: value for name, value in asdict(self).items() if value or name not in _NOT_IN_OLDER}
        if self.cascade and self.cascade.audit_share == AUDIT_SHARE:
            del body["cascade"]["audit_share"]  # as older bundles mean it
        body["digest"] = sha256(_canonical(body))
        return _canonical(body)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the canonical form.

        Raises:
            BundleError: `data` is not the canonical form of a manifest, or its digest does not match.
        """
        try:
            body = strict_json.parse(data)
            body.pop("digest")
            body |= {name: tuple(body.get(name, ())) for name in ("labels", "inputs")}
            body["views"] = {name: View(**view) for name, view in body.get("views", {}).items()}
            if (cascade := body.get("cascade")) is not None:
                body["cascade"] = Cascade(**cascade | {"certificate": Certificate(**cascade["certificate"])})
            manifest = cls(**body)
        except BundleError as error:
            raise BundleError(f"{MANIFEST}: {error}; or it was altered: install the bundle again") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"{MANIFEST} is not a bundle manifest ({error}); install the bundle again") from error
        if manifest.to_bytes() != data:
            raise BundleError(f"{MANIFEST} was altered: its digest does not match; install the bundle again")
        return manifest


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def _canonical(body: Mapping[str, Any]) -> bytes:
    return (json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
