"""Texts -> probabilities: a tokenizer and one onnxruntime session, and the linear view where the bundle has one.

One paper a session run, one thread inside the session, one calling thread a core: no padding, so nothing is computed
in vain, and a paper's score depends on that paper and the bundle alone. Dynamic int8 would break that as soon as two
papers shared a run (one activation scale per tensor; https://github.com/microsoft/onnxruntime/issues/10111).
"""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ro32.errors import BundleError, UsageError
from ro32.model.bundle import Bundle, Manifest, sha256
from ro32.model.external import has_external_data
from ro32.model.linear import LinearModel
from ro32.model.operating_point import Decision, OperatingPoint
from ro32.model.processor import available_cores, int8_saturates
from ro32.model.text import PaperTokenizer, normalize_texts
from ro32.model.views import View, ViewName

SCORING_VERSION = 3
"""Raised whenever this code gives another score for the same bundle and text: older scores are not reused then."""
INPUT = "input_ids"
FILLED = {"attention_mask": 1, "token_type_ids": 0}
"""What every element of a model's other inputs is, since a run holds one unpadded paper."""
SLOWER = ("SkipLayerNormFusion",)
"""Rewritings by onnxruntime that make a model slower: its SkipLayerNormalization took 7 times as long as the addition
and the LayerNormalization that it takes the place of (docs/decisions.md, 2026-11-26)."""


class Classifier:
    """A bundle ready to score. Safe to share between threads: the weights are in memory once.

    Args:
        bundle: A loaded bundle.
        view: Which of the bundle's views scores; the one that its manifest names by default.
        point: How scores become labels; by the view's own threshold by default.

    Raises:
        BundleError: onnxruntime or tokenizers cannot use what is in the bundle.
        UsageError: The bundle does not have the view, or never reaches what the operating point asks for.
    """

    def __init__(self, bundle: Bundle, view: ViewName | None = None, point: OperatingPoint | None = None) -> None:
        manifest = bundle.manifest if view is None else bundle.manifest.choose(view)
        self.digest = bundle.digest
        self.scoring_digest = sha256(f"{SCORING_VERSION} {manifest.scoring_digest}".encode())
        self.manifest: Manifest = manifest
        self.decision: Decision = (point or OperatingPoint()).resolve(bundle, manifest)
        self._view: View | None = None if manifest.view is None else manifest.views[manifest.view]
        self._linear = None if bundle.linear is None else LinearModel.from_bytes(bundle.linear)
        try:
            self._tokenizer = PaperTokenizer(
                bundle.tokenizer, max_length=bundle.manifest.max_length, separator=bundle.manifest.separator
            )
            self._session = _session(bundle.model)
        except Exception as error:  # onnxruntime's exceptions have no common base but Exception
            raise BundleError(f"bundle {bundle.manifest.name}: unusable: {error}; export it again") from error
        self._filled = _filled({item.name for item in self._session.get_inputs()}, manifest)
        labels = self._session.get_outputs()[0].shape[-1]
        if labels != len(bundle.manifest.labels):
            raise BundleError(
                f"bundle {bundle.manifest.name}: the model gives {labels} logits for "
                f"{len(bundle.manifest.labels)} labels; export it again"
            )

    @classmethod
    def load(
        cls, folder: Path | str | None = None, view: ViewName | None = None, point: OperatingPoint | None = None
    ) -> Self:
        """Load a bundle folder, or the bundle that comes with the package.

        Raises:
            BundleError: The bundle is missing, tampered with or unusable.
            UsageError: The bundle does not have the view, or never reaches what the operating point asks for.
        """
        return cls(Bundle.shipped() if folder is None else Bundle.load(Path(folder)), view, point)

    def deciding(self, decision: Decision) -> Self:
        """Return a classifier that shares this one's session and turns scores into labels in another way."""
        other = copy.copy(self)
        other.decision = decision
        return other

    def encode(self, title: str, abstract: str) -> list[int]:
        """Return the token ids of one paper of normalized text; none where there is nothing to score."""
        return self._tokenizer.encode(title, abstract)

    def logits(self, input_ids: Sequence[int]) -> NDArray[np.float32]:
        """Run the model on one paper.

        Args:
            input_ids: t >= 1 token ids, special tokens included.

        Returns:
            Shape (k,), float32: one logit per label of the bundle.
        """
        ids = np.asarray([input_ids], dtype=np.int64)
        feeds = {INPUT: ids} | {name: np.full_like(ids, number) for name, number in self._filled.items()}
        output = self._session.run(None, feeds)[0]
        return np.asarray(output[0], dtype=np.float32)

    def linear_scores(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.float64]:
        """Score n papers of normalized text by the linear view.

        Returns:
            Shape (n,), float64, log-odds; all 0 where the bundle has no linear view or the chosen view does not ask it.
        """
        if self._linear is None or self._view is None or not self._view.linear:
            return np.zeros(len(titles))
        return self._linear.scores(titles, abstracts)

    def score(self, input_ids: Sequence[int], linear: float) -> float:
        """Return the probability of the positive label for one paper, a float32 value.

        Not finite if the model's output is not.

        Args:
            input_ids: t >= 1 token ids, special tokens included.
            linear: The same paper's log-odds by `linear_scores`.
        """
        return float(self._probabilities(input_ids, linear)[self.manifest.positive_index])

    def _probabilities(self, input_ids: Sequence[int], linear: float) -> NDArray[np.float32]:
        if self._view is None:
            return softmax(self.logits(input_ids))
        positive = self.manifest.positive_index
        margin = 0.0
        if self._view.encoder:
            logits = self.logits(input_ids)
            margin = float(logits[positive]) - float(logits[1 - positive])
        probability = self._view.probability(margin, linear)
        both = np.full(2, 1 - probability, dtype=np.float32)
        both[positive] = probability
        return both

    def predict_proba(
        self,
        texts: Sequence[str | None] | None = None,
        *,
        titles: Sequence[str | None] | None = None,
        abstracts: Sequence[str | None] | None = None,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Score n papers, given as texts or as titles and abstracts.

        Args:
            texts: n papers of one string each: its first line is the title, what follows the abstract.
            titles: n titles, of however many lines.
            abstracts: n abstracts, likewise.
            threads: Calling threads; one per available core by default.

        Returns:
            Shape (n, k), float32: probabilities in the order of the bundle's labels; NaN where a paper has no text.

        Raises:
            UsageError: Neither or both forms were given, or not as many titles as abstracts.
        """
        titles, abstracts = _papers(texts, titles, abstracts)
        probabilities = np.full((len(titles), len(self.manifest.labels)), np.nan, dtype=np.float32)
        linear = self.linear_scores(titles, abstracts)

        def score_row(row: int) -> None:
            input_ids = self.encode(titles[row], abstracts[row])
            if input_ids:
                probabilities[row] = self._probabilities(input_ids, float(linear[row]))

        with ThreadPoolExecutor(threads or available_cores()) as pool:
            for _ in pool.map(score_row, range(len(titles))):
                pass
        return probabilities

    def predict(
        self,
        texts: Sequence[str | None] | None = None,
        *,
        titles: Sequence[str | None] | None = None,
        abstracts: Sequence[str | None] | None = None,
        threads: int | None = None,
    ) -> list[str | None]:
        """Label n papers. Takes what `predict_proba` takes.

        Returns:
            n labels, as `ro32-score` gives them; None where a paper has no score, or one in the band of doubt.

        Raises:
            UsageError: As of `predict_proba`.
        """
        probabilities = self.predict_proba(texts, titles=titles, abstracts=abstracts, threads=threads)
        scores = probabilities[:, self.manifest.positive_index]
        names = np.array([self.manifest.negative_label, self.manifest.positive_label], dtype=object)
        labels = names[self.decision.positive(scores).astype(np.intp)]
        labels[np.isnan(scores) | self.decision.uncertain(scores)] = None
        return list(labels)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits of shape (k,) into probabilities, float32, of the same shape."""
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum(), dtype=np.float32)


def _papers(
    texts: Sequence[str | None] | None, titles: Sequence[str | None] | None, abstracts: Sequence[str | None] | None
) -> tuple[list[str], list[str]]:
    """Return normalized titles and abstracts of papers in either form."""
    one_form = (texts is None) != (titles is None) and (titles is None) == (abstracts is None)
    if not one_form or any(isinstance(given, str) for given in (texts, titles, abstracts)):
        raise UsageError("expected texts, or titles and abstracts; give one of the two forms, each a list of strings")
    if texts is not None:
        lines = [(text or "").strip().partition("\n") for text in texts]
        titles, abstracts = [first for first, _, _ in lines], [rest for _, _, rest in lines]
    titles, abstracts = titles or [], abstracts or []
    if len(titles) != len(abstracts):
        raise UsageError(f"expected as many titles as abstracts, found {len(titles)} and {len(abstracts)}")
    return normalize_texts(titles), normalize_texts(abstracts)


def _filled(inputs: set[str], manifest: Manifest) -> dict[str, int]:
    """Return the inputs of a model besides its tokens, and what each is full of."""
    known = {INPUT, *FILLED}
    expected = set(manifest.inputs) or {INPUT} | (inputs & known)
    if inputs != expected or not inputs <= known:
        raise BundleError(
            f"bundle {manifest.name}: expected a model that takes {', '.join(sorted(expected))}, "
            f"found one that takes {', '.join(sorted(inputs))}; export it again"
        )
    return {name: number for name, number in FILLED.items() if name in inputs}


def session_options() -> ort.SessionOptions:
    """Return how a session is to compute: on the one thread that calls it, and with exact int8 products."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors; warnings about our own graph help no operator
    if int8_saturates():  # elsewhere it would change nothing and take two thirds more time
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _session(model: bytes) -> ort.InferenceSession:
    if has_external_data(model):
        raise ValueError("its weights lie in another file, which no digest covers")
    return ort.InferenceSession(
        model, sess_options=session_options(), providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER
    )
