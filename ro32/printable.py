"""Escapes text from papers, file names and bundles for printing: it cannot control a terminal or flood a log."""

MAX_MESSAGE_CHARS = 2_000
"""A message that is longer is read by nobody, and fills the log of a nightly job."""
_END_CHARS = 500
"""How much of a long message's end is kept: what to do stands there."""
_SPACES = frozenset("\u00a0\u2007\u202f\u3000")
"""Spaces of other scripts and of typography, which are as visible as the ASCII one."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Write every character that is not visible as an escape, as `\x1b` or `\u202e`.

    These are control characters, among them the start of a terminal's commands, characters that change the direction
    of text, those without width, private and unassigned ones, and bytes of file names that are not UTF-8.

    Args:
        text: Anything.
        lines: Keep line feeds, for a text of several lines; else they are escaped too.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in _SPACES or (lines and character == "\n")
        else _escape(character)
        for character in text
    )


def short(text: str, max_chars: int = MAX_MESSAGE_CHARS) -> str:
    """Cut a printable text in its middle, so that it has about `max_chars` characters."""
    if len(text) <= max_chars:
        return text
    end = min(_END_CHARS, max_chars // 3)
    left_out = len(text) - max_chars
    return f"{text[: max_chars - end]} [... {left_out:,} characters ...] {text[-end:]}"


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004 - the escapes that Python has
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - likewise
