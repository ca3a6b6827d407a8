"""What the site has that docs/ has not: pages from the project's root, and links that lead there. A hook of MkDocs."""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FROM_ROOT = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
"""Pages of the site that are files of the root, by name there."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from the root."""
    for name, page in FROM_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Let links lead to pages of the site; what is not on the site keeps its words and loses its link."""
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
            return words
        found = relpath(uri, str(PurePosixPath(page.file.src_uri).parent))
        return f"{mark}[{words}]({found}{'#' + anchor if anchor else ''})"

    return _LINK.sub(lead, markdown)
