"""`ro32-score --autotune`: the table, and the choice that later runs find."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import click

from ro32.errors import OutputError
from ro32.model.classifier import Classifier
from ro32.model.processor import available_cores
from ro32.run.autotune import SECONDS, Trial, autotune, best, remember, remembered_threads
from ro32.run.job import Settings


def tune(papers: Sequence[str], classifier: Classifier, settings: Settings, say: Callable[[str], object]) -> None:
    """Measure, print the table on stdout, and remember the choice.

    Raises:
        Ro32Error: The papers cannot be read, or the choice cannot be written down.
    """
    say(f"measuring for {SECONDS:.0f} seconds on the first papers of {', '.join(papers)}")
    trials = autotune(papers, classifier, settings)
    chosen = best(trials)
    click.echo(table(trials, chosen))
    try:
        path = remember(classifier, chosen)
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"the choice cannot be remembered: {error}; set XDG_CACHE_HOME to a folder that can be written to, or give "
            f"--threads {chosen.threads} to each run"
        ) from error
    say(f"remembered in {path}; --threads overrules it")


def table(trials: Sequence[Trial], chosen: Trial) -> str:
    """Compose the table."""
    lines = [f"{'threads':>7}{'papers/s':>10}   slowest to fastest round"]
    lines += [
        f"{trial.threads:>7}{trial.papers_per_s:>10,.1f}   {trial.low:,.1f} to {trial.high:,.1f}"
        f"{'   <- chosen' if trial == chosen else ''}"
        for trial in trials
    ]
    return "\n".join(lines)


def with_remembered_threads(settings: Settings, classifier: Classifier, asked: int | None) -> Settings:
    """Return settings with the number of threads that was asked for, or else measured before, or else of the cores."""
    return replace(settings, threads=asked or remembered_threads(classifier) or available_cores())
