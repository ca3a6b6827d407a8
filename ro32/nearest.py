"""The known word that somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], similarity: float = 0.6) -> str:
    """Return a question that names the known word most like one that is not; nothing where none is like it.

    Args:
        word: What was said.
        known: What there is.
        similarity: From which likeness on, 0 to 1, a word counts as meant.
    """
    by_small_letters = {item.lower(): item for item in known}
    matches = get_close_matches(word.lower(), list(by_small_letters), n=1, cutoff=similarity)
    return f"; did you mean {by_small_letters[matches[0]]!r}?" if matches else ""
