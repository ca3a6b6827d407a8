"""docs/architecture.md names functions and files that exist."""

import re
from importlib import import_module

import pytest

from tests.docs.commands import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`(ro32(?:\.\w+)+)`", TEXT)))
PACKAGES = re.findall(r"^\| `(\w+)/` \|[^|]*\| (.*) \|$", TEXT, re.MULTILINE)
PATHS = sorted(
    {
        *re.findall(r"`((?:ro32|export|bench|tests)/[\w/.]*)`", TEXT),
        *(f"ro32/{package}/{file}" for package, files in PACKAGES for file in re.findall(r"`([\w.]+)`", files)),
    }
)


def exists(name: str) -> bool:
    """Tell whether a dotted name is a module, or something within one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_exists(name: str) -> None:
    assert exists(name)


@pytest.mark.parametrize("path", PATHS)
def test_paths_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_something_is_named() -> None:
    assert len(NAMES) > 15
    assert len(PACKAGES) > 10
    assert not exists("ro32.run.walk.no_such_function")
