"""Checks the labels before they are published: errors that prevent it, and warnings for the operator."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from ro32.errors import InputDataError
from ro32.model.classifier import Classifier
from ro32.model.operating_point import Decision
from ro32.run.audit import Audit
from ro32.run.drift import Drift, Share
from ro32.run.job import Job
from ro32.run.journal import Journal
from ro32.run.parts import RowCounts


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the labels before say, all of their files together.

    Attributes:
        share: The share of positives; None if no file has one.
        comparable: Whether a change of the share is drift, and not meant, as with another operating point of the same
            model.
    """

    share: Share | None
    comparable: bool

    @classmethod
    def from_footers(cls, provenances: Iterable[Mapping[str, Any]], classifier: Classifier) -> Self:
        """Read it from the footers of labels files, for labels to come of this classifier."""
        positives, papers, known, comparable = 0, 0, False, True
        for provenance in provenances:
            share = Share.from_footer(provenance)
            if share is not None:
                positives, papers, known = positives + share.positives, papers + share.papers, True
            if provenance.get("scoring_digest") == classifier.scoring_digest:
                comparable = comparable and decides_alike(classifier.decision, provenance)
        return cls(share=Share(positives=positives, papers=papers) if known else None, comparable=comparable)


def judge(job: Job, counts: RowCounts, journal: Journal, before: Before) -> None:
    """Check labels that are about to be published, and record drift and audit in the journal.

    Raises:
        InputDataError: More rows than allowed have no score, or a sample contradicts the cascade's certificate and
            the settings are strict about that.
    """
    unscored = sum(counts.unscored.values())
    if unscored and unscored / counts.rows > job.settings.max_unscored:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.unscored.items()))
        raise InputDataError(
            f"{job.target}: {unscored:,} of {counts.rows:,} papers have no score ({reasons}), more than "
            f"{job.settings.max_unscored:.2%}; nothing was published; correct the input or raise --max-unscored"
            + "".join(f"; {sentence}" for sentence in job.plan.faults[:1])
        )
    _measure_drift(job, counts, journal, before)
    _audit(job, counts, journal)


def _measure_drift(job: Job, counts: RowCounts, journal: Journal, before: Before) -> None:
    """Compare the share of positives with that of the labels before."""
    journal.share = now = Share(positives=counts.positives, papers=counts.rows - sum(counts.unscored.values()))
    if before.share is None or not before.comparable:
        return
    journal.drift = drift = Drift(now=now, before=before.share, bound=job.settings.max_drift)
    if drift.exceeded:
        journal.warn(
            "drift",
            f"the share of {job.classifier.manifest.positive_label} moved by {100 * drift.change:+.2f} points, from "
            f"{before.share.value:.2%} of {before.share.papers:,} papers to {now.value:.2%} of {now.papers:,}: more "
            f"than --max-drift {drift.bound:g} allows, and the difference is significant (p = {drift.p_value:.1g}); "
            "check what changed",
        )


def decides_alike(decision: Decision, footer: Mapping[str, Any]) -> bool:
    """Return whether the labels of a footer got threshold and band of doubt from the same operating point."""
    band = list(decision.abstain) if decision.abstain else None
    point = footer.get("operating_point") or {}
    return (footer.get("threshold"), point.get("abstain")) == (decision.threshold, band)


def _audit(job: Job, counts: RowCounts, journal: Journal) -> None:
    """Compare what the sample of papers below the cut says with the bundle's certificate."""
    cascade = job.classifier.manifest.cascade
    if cascade is None:
        return
    certificate, lowest = cascade.certificate, job.classifier.decision.lowest
    if not certificate.covers(lowest):
        journal.warn(
            "not_certified",
            f"the cascade's certificate covers thresholds from {certificate.threshold:.4f} on, but {lowest:.4f} was "
            "requested; the number of labels that differ from those of --full is not known",
        )
    journal.audit = audit = Audit(
        papers=counts.audited,
        disagreements=counts.disagreements,
        confidence=certificate.confidence,
        allowed=certificate.screened_bound,
    )
    if not audit.exceeded:
        return
    found = (
        f"{audit.disagreements:,} of {audit.papers:,} papers below the cascade's cut that were also scored in full "
        f"have another label, more than the {audit.allowed:.4%} that the bundle's certificate allows, and not by "
        f"chance (p = {audit.p_value:.1g})"
    )
    if job.settings.strict_cascade:
        raise InputDataError(
            f"{job.target}: {found}; nothing was published; these papers are unlike those of the certificate: "
            "score with --full, or certify a cascade on papers like these"
        )
    journal.warn("cascade", f"{found}; score with --full until you know why")
