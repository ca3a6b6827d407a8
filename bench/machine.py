"""The conditions of a measurement: machine, versions, commit and load."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ro32.model.processor import VNNI, available_cores, installed_versions, processor_flags, processor_name

SCORING = ("ro32", "onnxruntime", "tokenizers", "polars", "pyarrow", "numpy")
EXPORT = ("torch", "transformers", "optimum", "optimum-onnx")
RELEVANT_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
"""Of the processor's instructions, those that decide how fast a neural network is."""
SAME = ("processor", "cores", "flags")  # facts that make two machines one, with the memory in whole gigabytes


def describe() -> dict[str, Any]:
    """Return the facts that belong to every result: JSON values."""
    return {
        "processor": processor_name(),
        "cores": available_cores(),
        "flags": [flag for flag in RELEVANT_FLAGS if flag in processor_flags()],
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": installed_versions((*SCORING, *EXPORT)),
    }


def identity(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a machine's facts that make it the same."""
    return {name: facts[name] for name in SAME} | {"memory_gb": round(facts["memory_bytes"] / 1e9)}


def has_vnni() -> bool:
    """Return whether this machine's processor has instructions for int8 products; bounds differ by it."""
    return not VNNI.isdisjoint(processor_flags())


def moment() -> dict[str, Any]:
    """Return when it is, how busy the machine is (processes that want a core, over the last minute), and the commit.

    The commit has a + where files differ from it, and is empty outside of a clone.
    """
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_1min": os.getloadavg()[0],
        "commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if changed else ""),
    }


def slug() -> str:
    """Return a name for the machine that can be part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", f"{processor_name()} {available_cores()} cores".lower()).strip("-")


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()
