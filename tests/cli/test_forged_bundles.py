"""What bundle.json may say: each wrong value is found by `ro32-bundle verify`, in a process of its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.forged import forge

DEEP: Any = "x"
for _ in range(200):
    DEEP = [DEEP]

WRONG: dict[str, dict[str, Any]] = {
    "no length": {"max_length": 0},
    "a negative length": {"max_length": -5},
    "a length beyond all memory": {"max_length": 10**6},
    "a length beyond the model's positions": {"max_length": 4096},
    "a fractional length": {"max_length": 256.5},
    "a truth value as length": {"max_length": True},
    "a length as text": {"max_length": "256"},
    "a label twice": {"labels": ["cs.RO", "cs.RO"]},
    "one label": {"labels": ["cs.RO"]},
    "labels that are one text": {"labels": "cs.RO"},
    "labels that are numbers": {"labels": [0, 1]},
    "no number as threshold": {"threshold": float("nan")},
    "an infinite threshold": {"threshold": float("inf")},
    "a threshold as text": {"threshold": "0.5"},
    "a threshold of 0": {"threshold": 0},
    "a threshold of more digits than a float has": {"threshold": 10**400},
    "no name": {"name": None},
    "a number as name": {"name": 3},
    "half a character as name": {"name": "\ud800"},
    "an endless name": {"name": "x" * 1_000_000},
    "a separator that is no token": {"separator": "[NOSUCH]"},
    "a number as separator": {"separator": 102},
    "inputs that the model has not": {"inputs": ["pixel_values"]},
    "files as a list": {"files": ["model.onnx"]},
    "a digest that is none": {"files": {"model.onnx": "00"}},
    "a name with a NUL": {"files": {"model\0.onnx": 64 * "0"}},
    "views as a list": {"views": []},
    "a view of another name": {"views": {"x": {"intercept": 0.0, "encoder": 1.0, "linear": 0.0, "threshold": 0.5}}},
    "a view with text in it": {"views": {"encoder": {"intercept": "0", "encoder": 1.0, "linear": 0.0}}},
    "a cascade that is text": {"cascade": "on"},
    "an unknown field": {"colour": "red"},
    "quality nested too deeply": {"quality": {"x": DEEP}},
    "an infinite measure": {"quality": {"f1": float("inf")}},
    "tools that are numbers": {"tools": {"onnx": 1}},
    "another format": {"format_version": "1"},
}


Ro32 = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ro32(python: Path) -> Ro32:
    """Run `ro32-bundle`, as a shell does."""

    def call(*args: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", "ro32.cli.bundles", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    return call


@pytest.fixture(scope="module")
def verified(ro32: Ro32, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one run of verify says of each bundle."""
    folder = tmp_path_factory.mktemp("forged")
    bundles = [forge(tiny_bundle, folder / name, **changes) for name, changes in WRONG.items()]
    done = ro32("verify", *bundles)
    assert done.returncode == 78, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(WRONG)  # one sentence each, and no bundle ends the run for the others
    assert max(map(len, lines)) < 2_200
    return dict(zip(WRONG, lines, strict=True))


@pytest.mark.parametrize("name", WRONG)
def test_verify_finds_a_wrong_value(name: str, verified: dict[str, str]) -> None:
    assert ": not usable: " in verified[name]


def test_json_that_is_nested_too_deep_is_no_manifest(ro32: Ro32, tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = forge(tiny_bundle, tmp_path / "bundle")
    (bundle / "bundle.json").write_text('{"quality": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert ro32("verify", bundle).returncode == 78
    assert ro32("show", bundle).returncode == 78


def test_a_bundle_that_cannot_be_read_is_named_beside_the_others(ro32: Ro32, tiny_bundle: Path, tmp_path: Path) -> None:
    forge(tiny_bundle, tmp_path / "good")
    forge(tiny_bundle, tmp_path / "bad", max_length=0)
    done = ro32("list", "--store", tmp_path)
    assert done.returncode == 0
    assert "good" in done.stdout
    assert "max_length 0" in done.stderr


def test_what_a_bundle_says_steers_no_terminal(ro32: Ro32, tiny_bundle: Path, tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07\u202e\nname"
    bundle = forge(tiny_bundle, tmp_path / "bundle", name=name, source={"\x1b[31m": "\x9b31m"})
    commands: list[list[str | Path]] = [["verify", bundle], ["show", bundle], ["show", bundle, "--json"]]
    commands.append(["list", "--store", tmp_path])
    for command in commands:
        done = ro32(*command)
        assert done.returncode == 0, done.stderr
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & {*done.stdout, *done.stderr}
