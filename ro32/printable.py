"""Escapes text from papers, file names and bundles for printing: it cannot control a terminal or flood a log."""

_END_CHARS = 500
"""How much of a long message's end is kept: what to do stands there."""
_SPACES = frozenset("\u00a0\u2007\u202f\u3000")
"""Spaces of other scripts and of typography, which are as visible as the ASCII one."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Write every character that is not visible as an escape, as `\x1b` or `\u202e`.

    These are control characters, among them the start of a terminal's commands, characters that change the direction
    of text, those without width, private and unassigned ones, and bytes of file names that are not UTF-8.

    Line feeds are kept in a text of several `lines`.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in _SPACES or (lines and character == "\n")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def short(text: str, max_chars: int = 2_000) -> str:
    """Cut a printable text in its middle, so that it has about `max_chars` characters and fills no log."""
    if len(text) <= max_chars:
        return text
    end = min(_END_CHARS, max_chars // 3)
    left_out = len(text) - max_chars
    return f"{text[: max_chars - end]} [... {left_out:,} characters ...] {text[-end:]}"
