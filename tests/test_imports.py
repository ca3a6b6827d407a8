"""What a command imports: a scoring host has few packages, and each costs time at every start."""

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
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
        "import ro32.cli.bundles",
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


PACKAGE = Path(ro32.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
FLOORS = (
    ("storage",),
    ("model",),
    ("data",),
    ("run", "train"),
    ("folder", "cluster"),
    ("evaluation",),
    ("monitor",),
    ("refresh",),
    ("cli",),
)
"""Rooms, from the bottom up. Each imports of the others only those on lower floors; rooms on one floor do not meet."""
NOT_UNDER_TRAINING = ("folder", "cluster", "evaluation", "monitor")
"""Of the rooms above training, which only refreshing and the command import."""


def name_of(module: Path) -> str:
    """Return the dotted name of a module of the package."""
    return ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(module) for module in MODULES}


def imports_of(module: Path) -> set[str]:
    """Return the modules of the package that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= members & NAMES or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & NAMES


def rooms_imported_by(room: str) -> set[str]:
    """Return the other rooms that modules of a room import from."""
    imported = {name for module in (PACKAGE / room).rglob("*.py") for name in imports_of(module)}
    return {name.split(".")[1] for name in imported if name.count(".") > 1} - {room}


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_rooms_import_one_way(floor: int) -> None:
    below = {room for rooms in FLOORS[:floor] for room in rooms}
    for room in FLOORS[floor]:
        assert len(list((PACKAGE / room).glob("*.py"))) > 1
        assert rooms_imported_by(room) <= below, room


def test_only_refreshing_and_the_command_import_training() -> None:
    for room in NOT_UNDER_TRAINING:
        assert "train" not in rooms_imported_by(room), room


def test_every_room_has_its_floor() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == {room for rooms in FLOORS for room in rooms}


KEPT = {"onnxruntime": "model", "click": "cli", "obstore": "storage", "ray": "cluster", "prometheus_client": "monitor"}
"""Packages that one room alone knows."""


@pytest.mark.parametrize(("package", "room"), KEPT.items())
def test_one_room_knows_a_package(package: str, room: str) -> None:
    pattern = re.compile(rf"^\s*(import|from) {package}\b", re.MULTILINE)
    users = {module for module in MODULES if pattern.search(module.read_text())}
    assert {module.relative_to(PACKAGE).parts[0] for module in users} == {room}


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name_of(module): imports_of(module) - {name_of(module)} for module in MODULES}
    assert sum(map(len, graph.values())) > len(graph)
    TopologicalSorter(graph).prepare()  # raises a CycleError that names the modules


def test_no_two_modules_have_one_name() -> None:
    names = Counter(module.stem for module in MODULES if module.stem != "__init__")
    assert [name for name, times in names.items() if times > 1] == []
