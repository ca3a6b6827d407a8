"""The pictures of README.md, made of what the commands really print: `python -m tests.docs.pictures` makes them again.

terminal.svg: a session on the sample with the bundle that ships; report.png: the page that it writes, in a headless
Chromium. They are made by hand when the model or the looks change: a picture of yesterday's figures misleads nobody.
"""

import html
import os
import shutil
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from tests.docs.commands import ROOT, SCRIPTS

PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 108
_CHARACTER, _LINE, _MARGIN = 8.43, 19, 22
"""Widths and heights in pixels, of a 14-pixel monospaced font."""
_COLOURS = {"$": "#7ee787", "+": "#7ee787", "-": "#ff7b72", "": "#e6edf3"}


def session(folder: Path) -> list[str]:
    """Run a few commands on the sample, and return what a terminal would show."""
    shutil.copy(ROOT / "tests" / "data" / "papers.parquet", folder / "papers.parquet")
    papers = pl.read_parquet(folder / "papers.parquet")
    listed = papers.filter(pl.col("categories").str.split(" ").list.contains("cs.RO"))
    shortest = listed.filter(pl.col("title").str.len_chars() < COLUMNS - 24).sort(pl.col("abstract").str.len_chars())
    shortest.head(1).write_ndjson(folder / "paper.jsonl")
    commands = [
        "ro32-score papers.parquet -o labels.parquet",
        "ro32-eval papers.parquet --labels labels.parquet --html report.html",
        "ro32-score papers.parquet -o labels.parquet --target-precision 0.95",
        "ro32-score paper.jsonl -o labels.parquet --explain 1",
    ]
    lines: list[str] = []
    for command in commands:
        name, *words = command.split()
        module = SCRIPTS[name].partition(":")[0]
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": str(COLUMNS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        lines += [f"$ {command}", *_wrapped(done.stdout.rstrip()), ""]
    return lines[:-1]


def _wrapped(text: str) -> list[str]:
    """Break lines that are longer than the terminal is wide."""
    wrap = partial(textwrap.wrap, width=COLUMNS, drop_whitespace=True)
    return [part for line in text.splitlines() for part in wrap(line, subsequent_indent=_indent(line)) or [""]]


def _indent(line: str) -> str:
    return " " * (len(line) - len(line.lstrip()))


def draw(lines: list[str]) -> str:
    """Return a picture of a terminal that shows lines."""
    width, height = round(COLUMNS * _CHARACTER) + 2 * _MARGIN, len(lines) * _LINE + 2 * _MARGIN + 14
    texts = [
        f'<text x="{_MARGIN}" y="{_MARGIN + 28 + number * _LINE}" fill="{_colour(line)}">{html.escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    style = "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            "<title>A terminal</title>",
            f"<style>{style}</style>",
            f'<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>',
            *(f'<circle cx="{_MARGIN + 18 * at}" cy="18" r="6" fill="#484f58"/>' for at in range(3)),
            *texts,
            "</svg>\n",
        ]
    )


def _colour(line: str) -> str:
    mark = line.strip()[:1] if line.startswith("    ") and "without it" in line else line[:1]
    return _COLOURS.get(mark, _COLOURS[""])


def photograph(page: Path, picture: Path, *, height: int = 1_000) -> None:
    """Take a picture of a page."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size=1280,{height}")
    subprocess.run(
        [browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True, timeout=120
    )


def main() -> None:
    """Make the pictures again."""
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        lines = session(Path(name))
        (PICTURES / "terminal.svg").write_text(draw(lines), encoding="utf-8")
        photograph(Path(name) / "report.html", PICTURES / "report.png")


if __name__ == "__main__":
    main()
