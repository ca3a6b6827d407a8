"""HTML and SVG in which text cannot become markup: whatever is not `Markup` is escaped."""

from html import escape

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
"""Elements of HTML that have no end tag. Source: https://html.spec.whatwg.org/multipage/syntax.html#void-elements"""


class Markup(str):
    """Text that is markup already, because this module or this package's own files made it."""

    __slots__ = ()


Child = str | None
Attribute = str | int | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element.

    Args:
        name: Its tag.
        *children: What is in it: markup as it is, any other string escaped; None is nothing.
        **attributes: Underscores stand for hyphens, and one at the end of a name for nothing (`class_`). None and
            False leave an attribute out, True gives it no value; floats are rounded to hundredths.
    """
    start = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Markup(start if name in VOID else f"{start}{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Return children one after the other."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children if child))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
