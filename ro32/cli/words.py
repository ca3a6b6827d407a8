"""The results of runs and dry runs as text."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from ro32.evaluation.explain import WORD, Explanation
from ro32.model.operating_point import Decision
from ro32.monitor.status import Status
from ro32.printable import printable
from ro32.run.parts import RowCounts
from ro32.run.walk import Summary


def summary_line(summary: Summary, done: RowCounts, output: str, positive_label: str, decision: Decision) -> str:
    """Describe the result of a run in one line; its speed is that at which it did what an earlier one had not."""
    counts = summary.counts
    origins = {
        "screened": counts.screened,
        "scored": counts.scored - counts.screened,
        "reused": counts.reused,
        "duplicates": counts.duplicates,
    }
    audited = f", audit: {counts.disagreements:,} of {counts.audited:,} disagree" if counts.audited else ""
    files = f", {_count(len(summary.skipped), 'file')} skipped" if summary.skipped else ""
    if (folder := summary.folder) is not None:
        became = {
            "new": folder.replaced,
            "unchanged": folder.unchanged,
            "removed": folder.removed,
            "without input": folder.gone,
        }
        files += f", {_count(folder.files, 'file')}{_listed(became)}"
    uncertain = f"{counts.uncertain:,} uncertain, " if decision.abstain else ""
    return (
        f"{output}: {_count(counts.rows, 'paper')}{_listed(origins)}, {counts.positives:,} {positive_label}, "
        f"{uncertain}{sum(counts.unscored.values()):,} unscored{_listed(counts.unscored)}{audited}{files}; "
        f"{done.rows / summary.seconds:,.1f} papers/s, {done.tokens / summary.seconds:,.0f} tokens/s, "
        f"{summary.seconds:,.1f} s{_operating_point(decision)}"
    )


def quality_line(quality: Mapping[str, Any]) -> str:
    """Describe in one line how the labels of the newest papers compare with their categories."""
    day, last, recorded = quality["newest_day"], quality["last_90_days"], quality["recorded"]
    names = {"precision": "precision", "recall": "recall", "f1": "F1", "average_precision": "average precision"}
    figures = (
        f"{name} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
        for key, name in names.items()
        if (found := last[key])
    )
    before = f" (when the bundle was made: {recorded['average_precision']:.3f})" if recorded else ""
    return (
        f"compared with the papers' categories, {last['since']} to {last['until']} ({last['papers']:,} papers, "
        f"{last['listed']:,} listed): {', '.join(figures)}{before}; on {day['until']}: {day['right']:,} of "
        f"{day['listed']:,} listed found, {day['called'] - day['right']:,} false positives"
    )


def _operating_point(decision: Decision) -> str:
    """Describe at which threshold papers were labelled, where that is not the bundle's own."""
    if decision.chosen_by == "bundle":
        return ""
    found = decision.validated
    worth = f" (validated: precision {found.precision:.3f}, recall {found.recall:.3f})" if found else ""
    return f"; threshold {decision.threshold:.4f}{worth}"


def status_text(status: Status, output: str) -> str:
    """Describe the result of a dry run in a few lines."""
    return "\n".join(f"{name:<11} {printable(words)}" for name, words in _status_lines(status, output))


def _status_lines(status: Status, output: str) -> Iterator[tuple[str, str]]:
    yield "labels", f"{output}, {'being written by ' + status.running if status.running else 'nobody is writing it'}"
    unchanged = f", {_count(status.unchanged_files, 'file')} unchanged" if status.unchanged_files else ""
    yield "papers", f"{status.rows:,} in {_count(status.files, 'file')}, {_count(status.parts, 'part')}{unchanged}"
    for file in status.skipped:
        yield "skipped", f"{file.path}: {file.reason}"
    yield "finished", f"{status.finished:,} in {_count(status.finished_parts, 'part')} of a killed run"
    yield "reused", f"{status.reused:,} with text in the earlier labels"
    yield "duplicates", f"{status.duplicates:,} with the text of an earlier paper"
    if status.unreadable:
        yield "unreadable", f"{status.unreadable:,} that get an error instead of a score"
    yield "to score", f"{status.to_score:,}"
    for item in status.left_over:
        yield "orphaned", f"{item.path}, {item.size_bytes / 1e6:.1f} MB; removed when a run succeeds"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _listed(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f" ({listed})" if listed else ""


def explanations_json(explanations: Sequence[Explanation]) -> str:
    """Describe the words that moved the scores of papers as JSON: ASCII, with null for NaN."""
    values = json.loads(json.dumps([asdict(item) for item in explanations]), parse_constant=lambda _: None)
    return json.dumps(values, indent=2)


def explanations_text(explanations: Sequence[Explanation], positive_label: str) -> str:
    """Describe the words that moved the scores of papers, in colour on a terminal."""
    colour = sys.stdout.isatty()
    return "\n\n".join(_explanation_text(item, positive_label, colour=colour) for item in explanations)


def _explanation_text(explanation: Explanation, positive_label: str, *, colour: bool) -> str:
    """Describe the words that moved a paper's score: figures, the text with marked words, and the strongest.

    They are marked by colour for a terminal, and by brackets elsewhere.
    """
    if not explanation.words:
        return f"{printable(explanation.id)}: no score, since there is no text"
    # The log-odds are NaN if there is no score without a word.
    raised = {effect.word: not effect.log_odds < 0 for effect in explanation.strongest}

    def mark(word: str) -> str:
        text, up = printable(word), raised.get(word.lower())
        if up is None:
            return text
        if colour:
            return click.style(text, fg="green" if up else "red", bold=True)
        return f"[{'+' if up else '-'}{text}]"

    called = explanation.label or "no label"
    lines = [
        printable(f"{explanation.id}: {called}, score {explanation.score:.4f} for {positive_label}"),
        *(f"    {_marked(text, mark)}" for text in (explanation.title, explanation.abstract) if text),
    ]
    for effect in explanation.strongest:
        times = f", {effect.places} times" if effect.places > 1 else ""
        needed = math.isnan(effect.score_without)
        without = "no score" if needed else f"{effect.score_without:.4f}"
        moved = "" if needed else f"{effect.log_odds:+.2f}"
        lines.append(f"    {moved:>7}  {printable(effect.word)}{times}; without it {without}")
    return "\n".join(lines)


def _marked(text: str, mark: Callable[[str], str]) -> str:
    """Return a text with its words marked, and what is between them printable."""
    pieces, end = [], 0
    for match in WORD.finditer(text):
        pieces += [printable(text[end : match.start()]), mark(match[0])]
        end = match.end()
    return "".join([*pieces, printable(text[end:])])
