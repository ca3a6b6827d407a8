"""What a command imports: a scoring host has few packages, and each costs time at every start."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ro32

HEAVY = {
    "torch",
    "transformers",
    "optimum",
    "onnx",
    "sklearn",
    "scipy",
    "matplotlib",
    "huggingface_hub",
    "prometheus_client",
    "obstore",
    "boto3",
    "ray",
}


@pytest.mark.parametrize(
    "statement",
    [
        "import ro32",
        "import ro32.cli",
        "import ro32.cli.score",
        "import ro32.cli.evaluate",
        "from ro32.cli.score import command; command(['--help'], standalone_mode=False)",
    ],
)
def test_scoring_imports_nothing_of_training(statement: str) -> None:
    """Python itself lists what it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "ro32" in imported
    assert not imported & HEAVY


ROOMS = ("storage", "model", "data", "run", "train", "folder", "cluster", "evaluation", "monitor", "cli")
"""Each imports of the others only those before it."""


def rooms_imported(module: Path) -> Iterator[str]:
    """Yield the rooms that a module imports from, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("ro32."))


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_one_way(room: str) -> None:
    modules = sorted((Path(ro32.__file__).parent / room).rglob("*.py"))
    imported = {name for module in modules for name in rooms_imported(module)}
    assert len(modules) > 1
    assert not imported & set(ROOMS[ROOMS.index(room) + 1 :])


def test_every_room_has_its_place() -> None:
    packages = {path.parent.name for path in Path(ro32.__file__).parent.glob("*/__init__.py")}
    assert packages == set(ROOMS)
