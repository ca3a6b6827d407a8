"""Counts what the suite did, for the summary of the test run."""

import threading
from collections import Counter

_injected: Counter[str] = Counter()
_checked: Counter[str] = Counter()
_lock = threading.Lock()


def injected(what: str, times: int = 1) -> None:
    """Count faults that happened, by their name in the summary."""
    with _lock:
        _injected[what] += times


def checked(what: str, times: int = 1) -> None:
    """Count outputs that were compared with what they must be."""
    with _lock:
        _checked[what] += times


def lines() -> list[str]:
    """Return what was counted: two sums, and what they are made of, in the order in which it was first counted."""
    return [
        line
        for title, counts in (("faults injected", _injected), ("outputs checked", _checked))
        if counts
        for line in (f"{counts.total():,} {title}", *(f"{times:11,} {what}" for what, times in counts.items()))
    ]
