"""`ro32-score` as an operator runs it, to be measured in a process of its own."""

import json
from pathlib import Path
from typing import Any

from ro32.cli.process import exit_code_of
from ro32.cli.score import command


def score(settings: dict[str, Any]) -> dict[str, Any]:
    """Label `papers` in the new file `target` with some `options`; return papers and stages of the run's report."""
    target = Path(settings["target"])
    target.unlink(missing_ok=True)
    report = target.with_suffix(".json")
    args = [settings["papers"], "-o", str(target), "--report", str(report), "--quiet", *settings["options"]]
    if code := exit_code_of(command, args):
        raise RuntimeError(f"exit code {code}")
    reported = json.loads(report.read_text())
    return {name: reported[name] for name in ("papers", "stages")}
