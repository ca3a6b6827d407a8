"""Dump and bundle -> refreshed bundle: count, split, fit, calibrate, compare, publish. Or dump -> first bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ro32.data.dates import MONTHS_A_YEAR, month_name
from ro32.errors import UsageError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.publish import check_target, publish
from ro32.refresh.calibrate import CERTIFIED_PAPERS, calibrate
from ro32.refresh.census import check_positives, parse_month, take_census
from ro32.refresh.gather import count_rows, gather
from ro32.refresh.held_out import divide
from ro32.refresh.linear_only import calibrate_linear
from ro32.refresh.renewed import Fitted, Origin, renew
from ro32.run.walk import Progress
from ro32.train.dump import Dump
from ro32.train.fit_linear import LinearRecipe, add_negatives, fit

HELD_OUT_PAPERS = 100_000
"""Held-out papers in memory at most: 200 MB of text."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to refresh, and how.

    Attributes:
        papers: Files of papers with their categories.
        output: The bundle folder to appear.
        category: What makes a paper positive; the bundle's positive label by default, if there is a bundle.
        negatives: File of papers that count as negative, whatever they are; the linear view is fitted on them too.
        since: Papers from this month on are the newest; two years up to the newest paper by default.
        hold_out: Share of the papers that the linear view is not fitted on, 0 to 1.
        training_papers: Papers that it is fitted on at most; each takes some 2 kB of memory.
        threads: Calling threads of the encoder.
        overwrite: Replace a bundle that is at `output`.
    """

    papers: tuple[Path, ...]
    output: Path
    category: str | None = None
    negatives: Path | None = None
    since: str | None = None
    hold_out: float = 0.2
    training_papers: int = 500_000
    threads: int = 1
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What came of it.

    Attributes:
        fitted: What was measured.
        bundle: As published; None if the new one is not better.
    """

    fitted: Fitted
    bundle: Bundle | None


def refresh(
    folder: Path | None, settings: Settings, *, say: Callable[[str], None], on_progress: Callable[[Progress], None]
) -> Refreshed:
    """Refresh a bundle, and publish the new one only if it is better on held-out newest papers by more than chance.

    Args:
        folder: The bundle, which is not touched; None for a first bundle, of a linear view alone.
        settings: What to do.
        say: Called with one line at the start of each step.
        on_progress: Called while papers are read or scored.

    Raises:
        UsageError: The category is not the bundle's or not named, the date is none, or the output is the bundle itself.
        InputMissingError: A dump is not there.
        InputDataError: A dump is damaged, or has too few papers of either kind.
        BundleError: The bundle is unusable.
        OutputError: The folder cannot be written.
    """
    if folder is not None and settings.output.resolve() == folder.resolve():
        raise UsageError(f"{settings.output}: is the bundle to refresh, which is not changed; name another folder")
    read = [*settings.papers, *filter(None, [settings.negatives])]
    check_target(settings.output, overwrite=settings.overwrite, read=read)
    parent = None if folder is None else Bundle.load(folder)
    category = settings.category or (parent.manifest.positive_label if parent else None)
    if category is None:
        raise UsageError("a first bundle needs a category; name one, such as --category cs.CV")
    if parent is not None and category != parent.manifest.positive_label:
        raise UsageError(
            f"--category {category}: the bundle labels {parent.manifest.positive_label}; name a bundle for {category}, "
            "or make one with --new"
        )
    earliest = None if settings.since is None else parse_month(settings.since)
    classifier = Classifier(parent, full=True) if parent is not None and parent.manifest.has_encoder else None
    dumps = [Dump.open(path) for path in settings.papers]
    negatives = None if settings.negatives is None else Dump.open(settings.negatives, labelled=False)
    rows = sum(dump.rows for dump in dumps)
    say(f"counting {rows:,} papers")
    census = take_census(dumps, category, on_rows=count_rows(rows, on_progress))
    since = census.newest - 2 * MONTHS_A_YEAR + 1 if earliest is None else earliest
    division = divide(
        census,
        since=since,
        share=settings.hold_out,
        most_training=settings.training_papers,
        most_held_out=HELD_OUT_PAPERS,
        enough=0 if classifier is None else CERTIFIED_PAPERS,
    )
    check_positives(census.positive[division.training], "the papers to train on", category)
    check_positives(census.positive[division.recent], f"the held-out papers since {month_name(since)}", category)
    origin = Origin(
        category=category,
        dumps=[dump.digest for dump in dumps],
        day=datetime.now(UTC).date(),
        since=month_name(since),
        training_papers=int(division.training.sum()) + (0 if negatives is None else negatives.rows),
        negatives=None if negatives is None else negatives.digest,
    )
    say(f"fitting the linear view on {origin.training_papers:,} papers")
    features, held_out = gather(dumps, census, division, category, on_rows=count_rows(rows, on_progress))
    weights = division.weight[division.training]
    if negatives is not None:
        features = add_negatives(features, negatives)
        weights = np.append(weights, np.ones(len(features.positive) - len(weights)))
    linear = fit(features, LinearRecipe(category=category), weights)
    del features
    if parent is None or classifier is None:
        say("calibrating on held-out papers")
        fitted = calibrate_linear(parent, linear, held_out)
    else:
        fitted = calibrate(
            parent, classifier, linear, held_out, threads=settings.threads, say=say, on_progress=on_progress
        )
    published = None
    if fitted.worth_publishing:
        files = renew(folder, parent, fitted, origin)
        published = publish(settings.output, files, overwrite=settings.overwrite)
    return Refreshed(fitted=fitted, bundle=published)
