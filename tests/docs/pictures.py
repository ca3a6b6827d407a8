"""The picture of README.md, of the page that `make report` writes: `python -m tests.docs.pictures` makes it again.

It is made by hand, in a headless Chromium, when the model or the design changes: nobody is misled by older figures.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser import BROWSER
from tests.docs.commands import ROOT, SCRIPTS

PICTURE = ROOT / "docs" / "pictures" / "report.png"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1000")


def main() -> None:
    """Label and measure the sample with the bundle that ships, and take a picture of the page."""
    with TemporaryDirectory() as folder:
        shutil.copy(ROOT / "tests" / "data" / "papers.parquet", folder)  # the page shows its path
        for line in (
            "ro32-score papers.parquet -o labels.parquet",
            "ro32-eval papers.parquet --labels labels.parquet --html report.html",
        ):
            name, *words = line.split()
            program = [sys.executable, "-m", SCRIPTS[name].partition(":")[0]]
            subprocess.run([*program, *words], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
        page = Path(folder, "report.html").as_uri()
        subprocess.run([str(BROWSER), *FLAGS, f"--screenshot={PICTURE}", page], check=True, timeout=120)


if __name__ == "__main__":
    main()
