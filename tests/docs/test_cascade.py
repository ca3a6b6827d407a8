"""docs/cascade.md says what the bundle that ships is certified for."""

from tests.docs.generated import CASCADE, refresh_cascade


def test_the_certificate_is_that_of_the_bundle() -> None:
    text = CASCADE.read_text(encoding="utf-8")
    assert "<!-- certificate -->\n| " in text
    assert text == refresh_cascade(text), "docs/cascade.md is out of date; run `make docs`"
