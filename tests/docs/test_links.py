"""What the documentation names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            page
            for folder in ("docs", "tests", "ro32", "export")
            for page in (ROOT / folder).rglob("*.md")
            if page.parent.name != "templates"  # their links are those of what is made from them
        ),
    ]
)
WHERE_FILES_ARE = ("ro32/", "export/", "bench/", "tests/", "docs/", ".ci/")


def ids(page: Path) -> str:
    """Name a page in test reports."""
    return str(page.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    """Links within the project, to files and to headings; pictures too."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"link to {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"link to {target}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_named_files_exist(page: Path) -> None:
    """Files of the project that are named in code type."""
    for name in re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8")):
        if name.startswith(WHERE_FILES_ARE):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_named_targets_exist(page: Path) -> None:
    """Targets of the Makefile."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text(encoding="utf-8")):
        assert target in targets, f"make {target}"
