"""Every page of the site in a real browser: nothing to complain of, nothing from elsewhere, readable on a phone."""

import random
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.browser import Browser, needs_browser
from tests.conftest import SEED
from tests.docs.shown import PAGES

pytestmark = needs_browser

PHONE, DESKTOP = 390, 1280
"""Widths in CSS pixels."""
WIDER = """
    return [...document.querySelectorAll('article *')].filter((part) => {
        for (let at = part; at !== document.body; at = at.parentElement)
            if (['auto', 'scroll'].includes(getComputedStyle(at).overflowX)) return false;
        return part.getBoundingClientRect().right > arguments[0] + 1;
    }).map((part) => part.outerHTML.slice(0, 120))
"""
"""What stands out on the right, and is in nothing that scrolls by itself."""
BROKEN = "return [...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)"
FETCHED = "return performance.getEntriesByType('resource').map((entry) => entry.name)"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site, served on the loopback interface as any web server would."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.driver.quit()


@pytest.mark.parametrize("most", [8, pytest.param(1_000, marks=pytest.mark.full)])
def test_pages_show_themselves(browser: Browser, address: str, site: Path, most: int) -> None:
    """Another sample of them in each run."""
    pages = sorted(path.parent.relative_to(site).as_posix() for path in site.rglob("index.html"))
    assert len(pages) >= len(PAGES) - 1
    for page in random.Random(SEED).sample(pages, min(most, len(pages))):
        for width, dark in ((PHONE, True), (DESKTOP, False)):
            browser.show(f"{address}{page}/", width=width, mobile=width == PHONE, dark=dark)
            assert browser.run("return document.body.dataset.mdColorScheme") == ("slate" if dark else "default"), page
            assert browser.run("return document.documentElement.scrollWidth") <= width, page
            assert browser.run(WIDER, width) == [], page
            assert browser.run(BROKEN) == [], page
            assert [name for name in browser.run(FETCHED) if not name.startswith(address)] == [], page
            assert browser.complaints() == [], page
