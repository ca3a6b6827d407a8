"""Calibrates a linear view alone on held-out papers, for bundles without an encoder."""

import numpy as np

from ro32.model.bundle import Bundle
from ro32.model.linear_view import LinearModel
from ro32.model.views import ViewName
from ro32.refresh.combine import Scores, cross_fit, fit_view, judge_view, probabilities
from ro32.refresh.contest import Verdicts, compare
from ro32.refresh.gather import HeldOut
from ro32.refresh.renewed import Fitted


def calibrate_linear(parent: Bundle | None, linear: LinearModel, held_out: HeldOut) -> Fitted:
    """Score all new held-out papers, fit on them, and compare with the old bundle.

    Args:
        parent: The old bundle, without an encoder too; none where the bundle is the first.
        linear: The new linear view.
        held_out: Papers that it was not fitted on.
    """
    has_text = np.array(
        [bool(title or abstract) for title, abstract in zip(held_out.titles, held_out.abstracts, strict=True)]
    )
    papers = held_out.take(np.flatnonzero(held_out.recent & has_text))
    scores = _scores(linear, papers)
    view, curve = fit_view(scores, ViewName.LINEAR)
    found = cross_fit(scores, ViewName.LINEAR)
    contest = None
    if parent is not None and parent.linear is not None:
        before = probabilities(
            _scores(LinearModel.from_bytes(parent.linear), papers), parent.manifest.views[ViewName.LINEAR]
        ).astype(np.float64)
        old = Verdicts(score=before, called=before >= parent.manifest.threshold)
        contest = compare(papers.positive, scores.papers, old, Verdicts(score=found.probability, called=found.called))
    return Fitted(
        linear=linear.to_bytes(),
        scores=scores,
        view=ViewName.LINEAR,
        views={ViewName.LINEAR: view},
        curves={ViewName.LINEAR: curve},
        quality={ViewName.LINEAR: judge_view(papers.positive, found)},
        contest=contest,
    )


def _scores(linear: LinearModel, papers: HeldOut) -> Scores:
    nothing = np.zeros(len(papers.ids))
    return Scores(positive=papers.positive, encoder=nothing, linear=linear.scores(papers.titles, papers.abstracts))
