"""What a run did, in words."""

from collections.abc import Mapping
from pathlib import Path

from ro32.score import Summary


def summary_line(summary: Summary, output: Path, positive_label: str) -> str:
    """Say in one line what a run did."""
    counts = summary.counts
    origins = {"scored": counts.scored, "reused": counts.reused, "duplicates": counts.duplicates}
    left_out = f", {_count(len(summary.skipped), 'file')} left out" if summary.skipped else ""
    return (
        f"{output}: {counts.rows:,} papers{_listed(origins)}, {counts.positives:,} {positive_label}, "
        f"{sum(counts.unscored.values()):,} unscored{_listed(counts.unscored)}{left_out}; "
        f"{counts.rows / summary.seconds:,.1f} papers/s, {counts.tokens / summary.seconds:,.0f} tokens/s, "
        f"{summary.seconds:,.1f} s"
    )


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _listed(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f" ({listed})" if listed else ""
