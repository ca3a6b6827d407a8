"""The screen: which papers of a run need no encoder, and which of those it sees all the same, as a sample.

All of it is a function of one paper, the bundle and the settings: neighbours, order, threads and parts play no part.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ro32.errors import UsageError
from ro32.model.bundle import Manifest, sha256
from ro32.model.cascade import Cascade, CascadeMode
from ro32.model.operating_point import Decision
from ro32.model.outcomes import Hashes
from ro32.model.text import MAX_CHARS

DEFAULT_AUDIT_SHARE = 0.005
"""Of the papers below the cut: 12,000 of a dump of 2.5 million, which costs a quarter of what the encoder does then."""
_TOKEN = re.compile(r"[0-9A-Za-z]")
"""What no tokenizer passes over: a text that holds it has a token, so that it is not for want of text without score."""


class Screen:
    """Decides by the linear view. Safe to share between threads.

    Args:
        cascade: Cut and calibration.
        audit_share: Share of the papers below the cut that the encoder scores all the same, 0 to 1.
    """

    def __init__(self, cascade: Cascade, audit_share: float) -> None:
        self.cascade = cascade
        self.audit_share = audit_share
        self.digest = sha256(repr((cascade.cut, cascade.intercept, cascade.linear)).encode())
        """SHA-256 in hex of what a screened paper's score depends on, besides the linear view."""

    def below(self, titles: Sequence[str], abstracts: Sequence[str], linear: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which of n papers are below the cut, and surely have a token of text.

        Args:
            titles: n normalized titles.
            abstracts: n normalized abstracts.
            linear: Shape (n,): log-odds by the linear view.

        Returns:
            Shape (n,).
        """
        found = linear < self.cascade.cut
        for row in np.flatnonzero(found).tolist():
            found[row] = surely_has_token(titles[row], abstracts[row])
        return found

    def audited(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Tell which of n papers are in the sample, if they are below the cut: those of the lowest content hashes.

        Returns:
            Shape (n,).
        """
        leading = np.ascontiguousarray(hashes).view(">u8").reshape(len(hashes), 2)[:, 0]
        return np.asarray((leading >> np.uint64(64 - 53)) < self.audit_share * 2.0**53)  # float64 holds 53 bits


def surely_has_token(title: str, abstract: str) -> bool:
    """Tell whether a paper of normalized text has a token by any tokenizer; if not, it is left to full scoring."""
    return _TOKEN.search(title, 0, MAX_CHARS) is not None or _TOKEN.search(abstract, 0, MAX_CHARS) is not None


def choose_screen(manifest: Manifest, decision: Decision, mode: CascadeMode, audit_share: float) -> Screen | None:
    """Return the screen of a bundle, or none where every paper is to be scored in full.

    Args:
        manifest: Of the bundle as it scores.
        decision: How its scores become labels.
        mode: With AUTO, the screen is used if the bundle has one whose certificate speaks of this way to score.
        audit_share: Share of the papers below the cut that the encoder scores all the same.

    Raises:
        UsageError: The mode is ON and there is no such screen.
    """
    if mode is CascadeMode.OFF:
        return None
    cascade = manifest.cascade
    if cascade is not None and cascade.certificate.allows(manifest.view, decision.lowest):
        return Screen(cascade, audit_share)
    if mode is CascadeMode.AUTO:
        return None
    if cascade is None:
        raise UsageError(
            f"bundle {manifest.name}: it has no certificate of a cascade; make one with python -m export.certify, "
            "or score in full with --cascade off"
        )
    certificate = cascade.certificate
    raise UsageError(
        f"bundle {manifest.name}: its cascade is certified for the view '{certificate.view}' and thresholds from "
        f"{certificate.threshold:.4f} on, not for '{manifest.view}' and {decision.lowest:.4f}; score in full with "
        "--cascade off"
    )
