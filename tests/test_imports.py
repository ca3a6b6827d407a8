"""What a command imports: a scoring host has few packages, and each costs time at every start."""

import subprocess
import sys

import pytest

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
