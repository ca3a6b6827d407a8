"""Papers -> scores: the whole cascade of a bundle, from its linear view to its encoder, behind one method.

One paper a session run, one thread inside the session, one calling thread a core: no padding, so nothing is computed
needlessly, and a paper's score depends on that paper and the bundle alone. Dynamic int8 would break that as soon as two
papers shared a run (one activation scale per tensor; https://github.com/microsoft/onnxruntime/issues/10111).
"""

import copy
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ro32.errors import BundleError, UsageError
from ro32.model.bundle import Bundle, Manifest, sha256
from ro32.model.external import has_external_data
from ro32.model.linear_view import LinearModel
from ro32.model.operating_point import Decision, OperatingPoint
from ro32.model.outcomes import EMPTY_TEXT, NON_FINITE, REASONS, Hashes, Outcomes
from ro32.model.processor import available_cores, int8_saturates
from ro32.model.text import PaperTokenizer, content_hashes, normalize_texts
from ro32.model.views import View

SCORING_VERSION = 4
"""Raised whenever this code gives another score for the same bundle and text: older scores are not reused then."""
INPUT = "input_ids"
FILLED = {"attention_mask": 1, "token_type_ids": 0}
"""What every element of a model's other inputs is, since a run holds one unpadded paper."""
SLOWER = ("SkipLayerNormFusion",)
"""Rewritings by onnxruntime that make a model slower: its SkipLayerNormalization took 7 times as long as the addition
and the LayerNormalization that it takes the place of (docs/decisions.md, section Export)."""
_ENCODER_ALONE = View(intercept=0.0, encoder=1.0, linear=0.0, threshold=0.5)
"""How a bundle without views scores: by the softmax of two logits. The threshold is not used."""
_CHUNK_PAPERS = 64
"""Papers that a thread of `predict_proba` scores at a time."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What scoring n papers found out.

    Attributes:
        outcomes: Of the n papers, in their order.
        tokens: Tokens that the encoder saw, special tokens included.
        audited: Papers below the cascade's cut that were also scored in full.
        disagreements: Papers among them that full scoring calls positive by the threshold of the certificate.
        seconds: How long it took.
    """

    outcomes: Outcomes
    tokens: int
    audited: int
    disagreements: int
    seconds: float


class Classifier:
    """A bundle ready to score. Safe to share between threads: the weights are in memory once.

    Args:
        bundle: A loaded bundle.
        point: How scores become labels; by the bundle's threshold by default.
        full: Score every paper by all views. This is another model than the bundle's cascade, with another
            `scoring_digest`.

    Raises:
        BundleError: onnxruntime or tokenizers cannot use what is in the bundle.
        UsageError: The bundle never reaches what the operating point asks for.
    """

    def __init__(self, bundle: Bundle, point: OperatingPoint | None = None, *, full: bool = False) -> None:
        self.manifest = manifest = replace(bundle.manifest, cascade=None) if full else bundle.manifest
        self.digest = bundle.digest
        kernels = f" onnxruntime {ort.__version__}" if manifest.has_encoder else ""  # they round as each release likes
        self.scoring_digest = sha256(f"{SCORING_VERSION}{kernels} {manifest.scoring_digest}".encode())
        self.decision: Decision = (point or OperatingPoint()).resolve(bundle, manifest)
        self._view = None if manifest.view is None else manifest.views[manifest.view]
        self._asks_encoder = self._view is None or self._view.encoder != 0
        self._linear = None if bundle.linear is None else LinearModel.from_bytes(bundle.linear)
        self._tokenizer: PaperTokenizer | None = None
        self._session: ort.InferenceSession | None = None
        if manifest.has_encoder:
            self._tokenizer, self._session = _start(bundle)
            self._filled = _filled({item.name for item in self._session.get_inputs()}, manifest)

    @classmethod
    def load(cls, folder: Path | str | None = None, point: OperatingPoint | None = None, *, full: bool = False) -> Self:
        """Load a bundle folder, or the bundle that comes with the package.

        Raises:
            BundleError: The bundle is missing, tampered with or unusable.
            UsageError: The bundle never reaches what the operating point asks for.
        """
        return cls(Bundle.shipped() if folder is None else Bundle.load(Path(folder)), point, full=full)

    @property
    def full(self) -> bool:
        """Whether every paper is scored by all views."""
        return self.manifest.cascade is None

    def deciding(self, decision: Decision) -> Self:
        """Return a classifier that shares this one's session and turns scores into labels in another way."""
        other = copy.copy(self)
        other.decision = decision
        return other

    def score(
        self,
        titles: Sequence[str],
        abstracts: Sequence[str],
        hashes: Hashes | None = None,
        stop: threading.Event | None = None,
    ) -> Scored:
        """Score n papers of normalized text; each score is a function of that paper and the bundle alone.

        Args:
            titles: n titles.
            abstracts: n abstracts.
            hashes: Shape (n,): the papers' content hashes, where they are known already.
            stop: When set, the work ends after the current paper, and the result is of no use.
        """
        started = time.monotonic()
        scores = np.full(len(titles), np.nan, dtype=np.float32)
        errors, screened = np.zeros(len(titles), dtype=np.uint8), np.zeros(len(titles), dtype=np.bool_)
        linear = self.linear_scores(titles, abstracts)
        cascade, audited = self.manifest.cascade, np.zeros(len(titles), dtype=np.bool_)
        if cascade is not None:
            below = cascade.below(titles, abstracts, linear, self.manifest.form)
            audited = below & cascade.audited(content_hashes(titles, abstracts) if hashes is None else hashes)
            screened = below & ~audited
            for row in np.flatnonzero(screened).tolist():
                scores[row] = cascade.probability(float(linear[row]))
        tokens, has_encoder = 0, self.manifest.has_encoder
        for row in np.flatnonzero(~screened).tolist():
            if stop is not None and stop.is_set():
                break
            input_ids = self.encode(titles[row], abstracts[row]) if has_encoder else []
            tokens += len(input_ids)
            has_text = bool(input_ids if has_encoder else titles[row] or abstracts[row])
            if has_text:
                logits = self.logits(input_ids) if self._asks_encoder else np.zeros(2, dtype=np.float32)
                scores[row] = self._probability(logits, float(linear[row]))
            if not np.isfinite(scores[row]):
                errors[row] = REASONS.index(NON_FINITE if has_text else EMPTY_TEXT)
        lost = (
            0 if cascade is None else int(np.sum(scores[audited].astype(np.float64) >= cascade.certificate.threshold))
        )
        outcomes = Outcomes(scores=scores, errors=errors, screened=screened)
        return Scored(
            outcomes=outcomes,
            tokens=tokens,
            audited=int(audited.sum()),
            disagreements=lost,
            seconds=time.monotonic() - started,
        )

    def encode(self, title: str, abstract: str) -> list[int]:
        """Return the token ids of one paper of normalized text; none where there is nothing to score.

        Raises:
            BundleError: The bundle has no encoder.
        """
        if self._tokenizer is None:
            raise _without_encoder(self.manifest)
        return self._tokenizer.encode(title, abstract)

    def logits(self, input_ids: Sequence[int]) -> NDArray[np.float32]:
        """Run the encoder on one paper.

        Args:
            input_ids: t >= 1 token ids, special tokens included.

        Returns:
            Shape (2,), float32: one logit per label of the bundle.

        Raises:
            BundleError: The bundle has no encoder.
        """
        if self._session is None:
            raise _without_encoder(self.manifest)
        ids = np.asarray([input_ids], dtype=np.int64)
        feeds = {INPUT: ids} | {name: np.full_like(ids, number) for name, number in self._filled.items()}
        output = self._session.run(None, feeds)[0]
        return np.asarray(output[0], dtype=np.float32)

    def linear_scores(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.float64]:
        """Score n papers of normalized text by the linear view.

        Returns:
            Shape (n,), float64, log-odds; all 0 where the bundle has no linear view or does not ask it.
        """
        if self._linear is None or self._view is None or not self._view.linear:
            return np.zeros(len(titles))
        return self._linear.scores(titles, abstracts)

    def _probability(self, logits: NDArray[np.float32], linear: float) -> float:
        """Combine the logits of one paper with its log-odds by the linear view; not finite where they are not."""
        positive = self.manifest.positive_index
        margin = float(logits[positive]) - float(logits[1 - positive])
        view = self._view or _ENCODER_ALONE
        return view.probability(margin, linear)

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
            Shape (n, 2), float32: probabilities in the order of the bundle's labels; NaN if a paper has no text.

        Raises:
            UsageError: Neither or both forms were given, or not as many titles as abstracts.
        """
        titles, abstracts = _papers(texts, titles, abstracts)
        starts = range(0, len(titles), _CHUNK_PAPERS)

        def score_chunk(start: int) -> NDArray[np.float32]:
            chunk = slice(start, start + _CHUNK_PAPERS)
            return self.score(titles[chunk], abstracts[chunk]).outcomes.scores

        with ThreadPoolExecutor(threads or available_cores()) as pool:
            scores = np.concatenate([np.zeros(0, dtype=np.float32), *pool.map(score_chunk, starts)])
        both = np.stack([1 - scores, scores], axis=1)
        return both if self.manifest.positive_index == 1 else both[:, ::-1]

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
            n labels, as `ro32-score` gives them; None if a paper has no score, or one in the band of doubt.

        Raises:
            UsageError: As of `predict_proba`.
        """
        probabilities = self.predict_proba(texts, titles=titles, abstracts=abstracts, threads=threads)
        scores = probabilities[:, self.manifest.positive_index]
        names = np.array([self.manifest.negative_label, self.manifest.positive_label], dtype=object)
        labels = names[self.decision.positive(scores).astype(np.intp)]
        labels[np.isnan(scores) | self.decision.uncertain(scores)] = None
        return list(labels)


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


def _start(bundle: Bundle) -> tuple[PaperTokenizer, ort.InferenceSession]:
    """Start the encoder."""
    manifest = bundle.manifest
    try:
        tokenizer = PaperTokenizer(
            bundle.tokenizer, max_length=manifest.max_length, separator=manifest.separator, form=manifest.form
        )
        session = _session(bundle.model)
    except Exception as error:  # onnxruntime's exceptions have no common base but Exception
        raise BundleError(f"bundle {manifest.name}: unusable: {error}; export it again") from error
    labels = session.get_outputs()[0].shape[-1]
    if labels != len(manifest.labels):
        raise BundleError(
            f"bundle {manifest.name}: the model gives {labels} logits for {len(manifest.labels)} labels; "
            "export it again"
        )
    return tokenizer, session


def _without_encoder(manifest: Manifest) -> BundleError:
    return BundleError(f"bundle {manifest.name}: it has no encoder, only a linear view; name a bundle that has one")


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
    """Return the session options: one thread, the calling one, and exact int8 products."""
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
