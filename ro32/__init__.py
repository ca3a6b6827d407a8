"""ro32 classifies arXiv papers: does a paper belong in cs.RO (Robotics), and with what probability?

As a library: `Classifier`, `score_file`, `score_folder`, `Settings` and `score`, and the version. docs/library.md shows
each at work. What is named here is loaded when it is first asked for, so that `import ro32` costs next to nothing.

This module is imported before any other one of ro32, export and bench, so it is where the usage reports of the
libraries below them are switched off.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ro32.folder.update import score_folder as score_folder
    from ro32.model.classifier import Classifier as Classifier
    from ro32.model.expression import score as score
    from ro32.run.job import Settings as Settings
    from ro32.run.walk import score_file as score_file

    __version__: str

for _switch, _value in (
    ("ORT_DISABLE_TELEMETRY", "1"),
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("RAY_USAGE_STATS_ENABLED", "0"),
    ("DO_NOT_TRACK", "1"),
):
    os.environ.setdefault(_switch, _value)
"""No usage reports, by this process and those that it starts. onnxruntime reads its switch once, when it is imported:
without it, its wheels from 1.29 on write a device id and a database below ~/.cache and look up a collector's host.

Source: https://github.com/microsoft/onnxruntime/pull/27379
"""

_HOMES = {
    "Classifier": "ro32.model.classifier",
    "Settings": "ro32.run.job",
    "score": "ro32.model.expression",
    "score_file": "ro32.run.walk",
    "score_folder": "ro32.folder.update",
}

__all__ = ["Classifier", "Settings", "__version__", "score", "score_file", "score_folder"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Load what the package offers when it is first asked for."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - it takes longer than all the rest of this module

        return version("ro32")
    if name not in _HOMES:
        raise AttributeError(f"module 'ro32' has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(_HOMES[name]), name))


def __dir__() -> list[str]:
    """List what the package offers, loaded or not."""
    return sorted({*globals(), *__all__})
