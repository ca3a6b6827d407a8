"""What the site has that docs/ has not: pages from the project's root, and links that lead there. A hook of MkDocs."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FROM_ROOT = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages and pictures of the site that lie elsewhere in the project, by path there."""
WORD_CHARS = 26
"""Up to so many a word of code is kept on one line: as many as stand beside a bullet on a small phone."""
CELL_WORD_CHARS = 40
"""The same in tables, which scroll by themselves where they are too wide."""
_INLINE = re.compile(r"<code>([^<]*)</code>")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies elsewhere."""
    for name, page in FROM_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to pages of the site; what is not on the site keeps its words and loses its link.

    A link whose words are the file's name is called as the menu calls the page.
    """
    titles = dict(_titles(config.nav))
    in_root = {page: name for name, page in FROM_ROOT.items()}
    at = PurePosixPath(
        in_root.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    )  # where the text lies in the project

    def lead(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        meant = normpath(str(at.parent / path))
        uri = FROM_ROOT.get(meant, meant.removeprefix("docs/"))
        if files.get_file_from_path(uri) is None:
            if mark:
                raise PluginError(f"{page.file.src_uri}: the picture {target} is not on the site; see FROM_ROOT")
            return words
        words = titles.get(uri, words) if words.endswith(".md") else words
        found = relpath(uri, str(PurePosixPath(page.file.src_uri).parent))
        return f"{mark}[{words}]({found}{'#' + anchor if anchor else ''})"

    return _LINK.sub(lead, markdown)


def on_page_content(html: str, **_: object) -> str:
    """Keep words of code within a line together: a browser would break them at any hyphen, and "--" is no option."""
    parts = re.split(r"(<pre.*?</pre>)", html, flags=re.DOTALL)
    return "".join(part if part.startswith("<pre") else _INLINE.sub(_together, part) for part in parts)


def _together(match: re.Match[str]) -> str:
    words = re.sub(rf"(?<!\S)(?=\S*[-._/])(?=\S*[a-z])\S{{1,{CELL_WORD_CHARS}}}(?!\S)", _span, match[1])
    return f"<code>{words}</code>"


def _span(match: re.Match[str]) -> str:
    kind = "word" if len(unescape(match[0])) <= WORD_CHARS else "cell-word"
    return f'<span class="{kind}">{match[0]}</span>'


def _titles(nav: object) -> Iterator[tuple[str, str]]:
    """Yield the pages of a menu, each with what it is called there."""
    if isinstance(nav, list):
        for item in nav:
            yield from _titles(item)
    elif isinstance(nav, dict):
        for title, target in nav.items():
            if isinstance(target, str):
                yield target, title
            else:
                yield from _titles(target)
