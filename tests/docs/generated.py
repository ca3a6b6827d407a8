"""The parts of README.md that are made from the code, so that they cannot drift from it. `make docs` writes them anew.

They are the fenced blocks that begin with "$ ro32-... --help", and the table between "<!-- quality -->" and
"<!-- /quality -->", which comes from the manifest of the bundle that ships.
"""

import re

from ro32.bundle import Bundle
from ro32.views import ViewName
from tests.docs.commands import ROOT, command_named, context_of
from tests.docs.manual import MANUAL, pages

README = ROOT / "README.md"

VIEWS = {
    ViewName.COMBINED: "both together: what `ro32-score` does",
    ViewName.ENCODER: "the encoder alone: `--encoder-only`",
    ViewName.LINEAR: "the linear model alone",
}


def refresh(text: str) -> str:
    """Return README.md's text with every generated part as it should be."""
    text = re.sub(
        r"(?<=```console\n)\$ (ro32-\w+) --help\n.*?(?=```)",
        lambda match: f"$ {match[1]} --help\n{help_text(match[1])}\n",
        text,
        flags=re.DOTALL,
    )
    return re.sub(r"(?<=<!-- quality -->\n).*?(?=<!-- /quality -->)", lambda _: quality_table(), text, flags=re.DOTALL)


def quality_table() -> str:
    """Return what the shipped bundle's manifest says of its quality: a sentence and a table."""
    manifest = Bundle.shipped().manifest
    quality = manifest.quality
    papers = f"{quality['papers']:,} papers that were not trained on"
    listed = f"{quality['positives']:,} of them listed in {manifest.positive_label}"
    lines = [
        f"On {papers}, {listed}; threshold {manifest.threshold:.4f}:",
        "",
        "| scored by | average precision | F1 | precision | recall |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, view in quality["views"].items():
        figures = (f"{view[measure]:.4f}" for measure in ("average_precision", "f1", "precision", "recall"))
        lines.append(f"| {VIEWS[name]} | {' | '.join(figures)} |")
    return "".join(f"{line}\n" for line in lines)


def help_text(name: str) -> str:
    """Return what a command prints for --help on a terminal of HELP_WIDTH columns."""
    with context_of(command_named(name), name) as context:
        return context.command.get_help(context)


def main() -> None:
    """Write README.md and the manual pages anew."""
    README.write_text(refresh(README.read_text(encoding="utf-8")), encoding="utf-8")
    for stale in MANUAL.glob("*.1"):
        stale.unlink()
    MANUAL.mkdir(exist_ok=True)
    for path, text in pages():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
