"""What --version says, also of a broken installation."""

from pathlib import Path

import pytest

from ro32.cli import version
from ro32.cli.score import command
from ro32.model.bundle_json import MANIFEST, sha256
from tests.command_line import Invoke


def test_the_certificate_is_shown(invoke: Invoke, cascade_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "shipped_folder", lambda: cascade_bundle)
    outcome = invoke(command, ["--version"])
    first, model, cascade = outcome.stdout.splitlines()
    assert outcome.code == 0
    assert first.startswith("ro32, version ")
    digest = sha256((cascade_bundle / MANIFEST).read_bytes())
    assert model == f"bundle tiny-cascade, cs.RO from a score of 0.3000 on, {digest[:12]}"
    assert cascade == (
        "cascade: of 100,000 papers 90.0% need no encoder and 0 get another label; at most 0.0030% do, "
        "with 95% confidence"
    )


def test_a_bundle_without_one_says_so(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "shipped_folder", lambda: tiny_bundle)
    assert "every paper is scored in full" in invoke(command, ["--version"]).stdout


def test_a_broken_model_hides_no_version(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(version, "shipped_folder", lambda: tmp_path)
    outcome = invoke(command, ["--version"])
    assert outcome.code == 0
    assert outcome.stdout.splitlines()[1].startswith("bundle unusable: ")
