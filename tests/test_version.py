"""What --version says, also of a broken installation."""

from pathlib import Path

import pytest

from ro32.bundle import Bundle
from ro32.cli.score import command
from ro32.errors import BundleError
from tests.command_line import Invoke


def test_the_certificate_is_shown(invoke: Invoke, cascade_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.load(cascade_bundle)
    monkeypatch.setattr(Bundle, "shipped", lambda: bundle)
    outcome = invoke(command, ["--version"])
    first, model, cascade = outcome.stdout.splitlines()
    assert outcome.code == 0
    assert first.startswith("ro32, version ")
    assert model == "model tiny-cascade, cs.RO from a score of 0.3000 on"
    assert cascade == (
        "cascade: of 100,000 papers 90.0% need no encoder and 0 get another label; at most 0.0030% do, "
        "with 95% confidence"
    )


def test_a_bundle_without_one_says_so(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.load(tiny_bundle)
    monkeypatch.setattr(Bundle, "shipped", lambda: bundle)
    assert "every paper is scored in full" in invoke(command, ["--version"]).stdout


def test_a_broken_model_hides_no_version(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Bundle:
        raise BundleError("model.onnx was altered")

    monkeypatch.setattr(Bundle, "shipped", broken)
    outcome = invoke(command, ["--version"])
    assert (outcome.code, outcome.stdout.splitlines()[1]) == (0, "model: model.onnx was altered")
