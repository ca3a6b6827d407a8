"""A bundle folder appears whole or not at all, whatever fails."""

import errno
import shutil
from pathlib import Path

import pytest

from export.build import Report
from export.convert import convert
from ro32.errors import BundleError, OutputError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model import publish as module
from ro32.model.bundle import Bundle
from ro32.model.publish import publish


@pytest.fixture
def files(exported: tuple[Path, Report]) -> dict[str, bytes]:
    """The files of a bundle."""
    return {path.name: path.read_bytes() for path in exported[0].iterdir()}


@pytest.fixture
def target(exported: tuple[Path, Report], tmp_path: Path) -> Path:
    """A bundle that is there already."""
    shutil.copytree(exported[0], tmp_path / "bundle")
    return tmp_path / "bundle"


def check_untouched(target: Path, exported: tuple[Path, Report]) -> None:
    assert [path.name for path in target.parent.iterdir()] == ["bundle"]
    assert Bundle.load(target).digest == exported[1].bundle.digest


def test_a_full_disk_leaves_the_old_bundle(
    files: dict[str, bytes], target: Path, exported: tuple[Path, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(OutputError, match="No space left"):
        publish(target, files, overwrite=True)
    check_untouched(target, exported)


def test_a_failing_rename_brings_the_old_bundle_back(
    files: dict[str, bytes], target: Path, exported: tuple[Path, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(path: Path, to: Path) -> Path:
        if path.suffix == ".partial":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="Input/output error"):
        publish(target, files, overwrite=True)
    check_untouched(target, exported)


def test_what_reads_back_otherwise_is_not_published(files: dict[str, bytes], tmp_path: Path) -> None:
    files["model.onnx"] = files["model.onnx"][:-1] + b"?"
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        publish(tmp_path / "bundle", files, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_weights_in_a_second_file_are_refused(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_ONNX_EXTERNAL_DATA", "1")  # Optimum's own switch; otherwise it takes a model of 2 GiB
    with pytest.raises(BundleError, match="one ONNX file"):
        convert(checkpoint, tmp_path / "onnx")
