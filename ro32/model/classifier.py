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

from ro32.errors import BundleError, shortage
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import sha256
from ro32.model.installed import default_store, find
from ro32.model.linear_view import LinearModel
from ro32.model.operating_point import Decision, OperatingPoint
from ro32.model.outcomes import EMPTY_TEXT, NON_FINITE, REASONS, Hashes, Outcomes
from ro32.model.processor import available_cores
from ro32.model.session import Encoder
from ro32.model.text import content_hashes, normalized_papers

SCORING_VERSION = 4
"""Raised whenever this code gives another score for the same bundle and text: older scores are not reused then."""
_CHUNK_PAPERS = 64
"""Papers that a thread of `predict_proba` scores at a time."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What scoring n papers found out: their outcomes, and how many tokens the encoder saw, special ones included.

    `audited` counts papers below the cascade's cut that were also scored in full, `disagreements` those of them that
    full scoring calls positive by the threshold of the certificate.
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
        self._view = manifest.scoring_view
        self._linear = None if bundle.linear is None else LinearModel.from_bytes(bundle.linear)
        self._encoder = Encoder.start(bundle) if manifest.has_encoder else None

    @classmethod
    def load(cls, folder: Path | str | None = None, point: OperatingPoint | None = None, *, full: bool = False) -> Self:
        """Load a bundle folder, an installed bundle by its name, or the bundle that comes with the package.

        Raises:
            BundleError: The bundle is missing, tampered with or unusable.
            UsageError: The bundle never reaches what the operating point asks for.
        """
        found = find(None if folder is None else Path(folder), default_store())
        return cls(Bundle.load(found), point, full=full)

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

        Content hashes, of shape (n,), need not be given. When `stop` is set, the work ends after the current paper, and
        the result is of no use.
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
                margin = 0.0
                if self._view.encoder:
                    logits, positive = self.logits(input_ids), self.manifest.positive_index
                    margin = float(logits[positive]) - float(logits[1 - positive])
                scores[row] = self._view.probability(margin, float(linear[row]))
            if not np.isfinite(scores[row]):
                errors[row] = REASONS.index(NON_FINITE if has_text else EMPTY_TEXT)
        certified = 1.0 if cascade is None else cascade.certificate.threshold
        return Scored(
            outcomes=Outcomes(scores=scores, errors=errors, screened=screened),
            tokens=tokens,
            audited=int(audited.sum()),
            disagreements=int(np.sum(scores[audited].astype(np.float64) >= certified)),
            seconds=time.monotonic() - started,
        )

    def encode(self, title: str, abstract: str) -> list[int]:
        """Return the token ids of one paper of normalized text; none where there is nothing to score."""
        return self._started().tokenizer.encode(title, abstract)

    def logits(self, input_ids: Sequence[int]) -> NDArray[np.float32]:
        """Run the encoder on one paper of t >= 1 token ids; return one logit per label, shape (2,), float32.

        Raises:
            BundleError: The bundle has no encoder, or one that fails.
            ReadWriteError: There is not enough memory for it.
        """
        encoder = self._started()
        try:
            output = encoder.session.run(None, encoder.feeds(input_ids))[0]
        except Exception as error:  # onnxruntime's exceptions have no common base but Exception
            raise shortage(error) or BundleError(
                f"bundle {self.manifest.name}: a paper of {len(input_ids)} tokens cannot be scored: {error}; export it "
                "again"
            ) from error
        return np.asarray(output[0], dtype=np.float32)

    def _started(self) -> Encoder:
        if self._encoder is None:
            raise BundleError(f"bundle {self.manifest.name}: it has no encoder, only a linear view; name one that has")
        return self._encoder

    def linear_scores(self, titles: Sequence[str], abstracts: Sequence[str]) -> NDArray[np.float64]:
        """Return log-odds by the linear view, shape (n,), float64; 0 if the bundle has none or does not ask it."""
        if self._linear is None or not self._view.linear:
            return np.zeros(len(titles))
        return self._linear.scores(titles, abstracts)

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
        titles, abstracts = normalized_papers(texts, titles, abstracts)
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
        """Label n papers, as `ro32-score` does. Takes and raises what `predict_proba` does.

        Returns:
            n labels; None if a paper has no score, or one in the band of doubt.
        """
        probabilities = self.predict_proba(texts, titles=titles, abstracts=abstracts, threads=threads)
        scores = probabilities[:, self.manifest.positive_index]
        names = np.array([self.manifest.negative_label, self.manifest.positive_label], dtype=object)
        labels = names[self.decision.positive(scores).astype(np.intp)]
        labels[np.isnan(scores) | self.decision.uncertain(scores)] = None
        return list(labels)
