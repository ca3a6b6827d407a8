"""Bundles whose manifest is in its canonical form, with a right digest, and says anything at all."""

import json
import shutil
from pathlib import Path
from typing import Any

from ro32.model.bundle_json import sha256


def forged_manifest(folder: Path, /, **changes: Any) -> bytes:
    """Return the manifest of a bundle, some of its fields changed; None takes a field away."""
    body = json.loads((folder / "bundle.json").read_bytes()) | changes
    body = {name: value for name, value in body.items() if name != "digest" and value is not None}
    return _canonical(body | {"digest": sha256(_canonical(body))})


def forge(source: Path, target: Path, /, **changes: Any) -> Path:
    """Copy a bundle and change fields of its manifest."""
    shutil.copytree(source, target)
    (target / "bundle.json").write_bytes(forged_manifest(source, **changes))
    return target


def _canonical(body: dict[str, Any]) -> bytes:
    text = json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode("utf-8", "surrogatepass")
