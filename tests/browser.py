"""Chromium without a window, for tests that look at pages."""

import shutil
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no name leads anywhere
)
needs_browser = pytest.mark.skipif(
    BROWSER is None or DRIVER is None, reason="no Chromium with its driver here: install chromium and chromium-driver"
)


class Browser:
    """Chromium, and what a test asks of it.

    Args:
        folder: Where it may keep its profile.
    """

    def __init__(self, folder: Path) -> None:
        webdriver: Any = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
        options = webdriver.ChromeOptions()
        options.binary_location = str(BROWSER)
        for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))

    def show(self, url: str, *, width: int, mobile: bool, dark: bool = False) -> None:
        """Show a page as a device would.

        Args:
            url: Of the page.
            width: Of the device, in CSS pixels.
            mobile: Whether it lays pages out as a phone does.
            dark: Whether its user prefers that.
        """
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get_log("browser")
        self.driver.get(url)

    def complaints(self) -> list[str]:
        """Return what the browser logged since the page was opened."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)
