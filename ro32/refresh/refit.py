"""Dump and bundle -> refreshed bundle: count, split, fit, calibrate, compare, publish. Or dump -> first bundle."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ro32.data.dates import MONTHS_A_YEAR, month_name
from ro32.errors import UsageError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.publish import check_target, publish
from ro32.refresh.calibrate import CERTIFIED_PAPERS, Announce, calibrate, calibrate_linear
from ro32.refresh.census import check_positives, parse_month, take_census
from ro32.refresh.gather import gather
from ro32.refresh.held_out import divide
from ro32.refresh.renewed import Fitted, renew
from ro32.storage.files import unchanged
from ro32.train.dump import Dump
from ro32.train.fit_linear import LinearRecipe, add_negatives, fit

HELD_OUT_PAPERS = 100_000
"""Held-out papers in memory at most: 200 MB of text."""


def refresh(
    folder: Path | None,
    papers: Sequence[Path],
    output: Path,
    *,
    announce: Announce,
    category: str | None = None,
    negatives: Path | None = None,
    since: str | None = None,
    hold_out: float = 0.2,
    training_papers: int = 500_000,
    threads: int = 1,
    overwrite: bool = False,
) -> tuple[Fitted, Bundle | None]:
    """Refresh a bundle, and publish the new one only if it is better on held-out newest papers by more than chance.

    Args:
        folder: The bundle, which is not touched; None for a first bundle, of a linear view alone.
        papers: Files of papers with their categories.
        output: The bundle folder to appear.
        announce: Called at the start of each step.
        category: What makes a paper positive; the bundle's positive label by default, if there is a bundle.
        negatives: File of papers that count as negative, whatever they are; the linear view is fitted on them too.
        since: Papers from this month on are the newest; two years up to the newest paper by default.
        hold_out: Share of the papers that the linear view is not fitted on, 0 to 1.
        training_papers: Papers that it is fitted on at most; each takes some 2 kB of memory.
        threads: Calling threads of the encoder.
        overwrite: Replace a bundle that is at `output`.

    Returns:
        What was measured, and the bundle as published; None if it is not better.

    Raises:
        UsageError: The category is not the bundle's or not named, the date is none, or the output is the bundle itself.
        InputMissingError: A dump is not there.
        InputDataError: A dump is damaged, or has too few papers of either kind.
        BundleError: The bundle is unusable.
        OutputError: The folder cannot be written.
        TryAgainError: A dump changed between two readings.
    """
    if folder is not None and output.resolve() == folder.resolve():
        raise UsageError(f"{output}: is the bundle to refresh, which is not changed; name another folder")
    check_target(output, overwrite=overwrite, read=[*papers, *filter(None, [negatives])])
    parent = None if folder is None else Bundle.load(folder)
    label = parent.manifest.positive_label if parent else None
    category = category or label
    if category is None:
        raise UsageError("a first bundle needs a category; name one, such as --category cs.CV")
    if label not in {None, category}:
        raise UsageError(
            f"--category {category}: the bundle labels {label}; name a bundle for {category}, or make one with --new"
        )
    earliest = None if since is None else parse_month(since)
    classifier = Classifier(parent, full=True) if parent is not None and parent.manifest.has_encoder else None
    with unchanged([*papers, *filter(None, [negatives])]):
        dumps = [Dump.open(path) for path in papers]
        others = None if negatives is None else Dump.open(negatives, labelled=False)
        rows = sum(dump.rows for dump in dumps)
        census = take_census(dumps, category, on_rows=announce(f"counting {rows:,} papers", rows))
        if earliest is None:
            earliest = census.newest - 2 * MONTHS_A_YEAR + 1
        division = divide(
            census,
            since=earliest,
            share=hold_out,
            most_training=training_papers,
            most_held_out=HELD_OUT_PAPERS,
            enough=0 if classifier is None else CERTIFIED_PAPERS,
        )
        newest = f"the held-out papers since {month_name(earliest)}"
        check_positives(census.positive[division.training], "the papers to train on", category)
        check_positives(census.positive[division.recent], newest, category)
        fitted_on = int(division.training.sum()) + (0 if others is None else others.rows)
        on_rows = announce(f"fitting the linear view on {fitted_on:,} papers", rows)
        features, held_out = gather(dumps, census, division, category, on_rows=on_rows)
        check_positives(held_out.filter("recent")["positive"].to_numpy(), f"{newest} with a text", category)
        weights = division.weight[division.training]
        if others is not None:
            features = add_negatives(features, others)
            weights = np.append(weights, np.ones(len(features.positive) - len(weights)))
    linear = fit(features, LinearRecipe(category=category), weights)
    del features
    if parent is None or classifier is None:
        announce("calibrating on held-out papers")
        fitted = calibrate_linear(parent, linear, held_out)
    else:
        fitted = calibrate(parent, classifier, linear, held_out, threads=threads, announce=announce)
    if not fitted.worth_publishing:
        return fitted, None
    origin = {
        "dumps": [dump.digest for dump in dumps],
        "date": datetime.now(UTC).date().isoformat(),
        "since": month_name(earliest),
        "training_papers": fitted_on,
        **({} if others is None else {"negatives": others.digest}),
    }
    files = renew(folder, parent, fitted, category=category, origin=origin)
    return fitted, publish(output, files, overwrite=overwrite)
