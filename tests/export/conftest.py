"""The tiny checkpoint, exported once for all tests of the export."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export.build import Report, Settings, export_bundle
from ro32.evaluation.checkpoint import Checkpoint

DATA = Path(__file__).parents[1] / "data"
VERIFY_PAPERS = 300


def export(checkpoint: Path, output: Path, papers: Path, **settings: Any) -> Report:
    """Export a checkpoint, silently."""
    chosen = Settings(checkpoint=checkpoint, output=output, papers=papers, **settings)
    return export_bundle(chosen, say=lambda _: None, on_progress=lambda _: None)


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    """A BERT of two layers that was really trained."""
    return Checkpoint.open(DATA / "tiny_checkpoint")


@pytest.fixture(scope="session")
def few_path(papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 papers to measure on."""
    path = tmp_path_factory.mktemp("few") / "papers.parquet"
    pl.read_parquet(papers_path).gather_every(3).head(600).write_parquet(path)
    return path


@pytest.fixture(scope="session")
def exported(checkpoint: Checkpoint, few_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """Its int8 bundle, with a picture, and what was found on the way; scores.parquet lies beside the bundle."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(checkpoint.folder, folder / "checkpoint")
    (folder / "checkpoint" / "loss.png").write_bytes(b"a picture")
    (folder / "checkpoint" / "unseen.png").write_bytes(b"a picture that the card does not show")
    (folder / "checkpoint" / "README.md").write_text(f"{checkpoint.card}\n![loss](loss.png)\n", encoding="utf-8")
    report = export(
        folder / "checkpoint",
        folder / "bundle",
        few_path,
        verify_papers=VERIFY_PAPERS,
        threads=2,
        scores_out=folder / "scores.parquet",
    )
    return folder / "bundle", report


@pytest.fixture
def altered(checkpoint: Checkpoint, tmp_path: Path) -> Callable[..., Path]:
    """Copy the checkpoint, and change entries of one of its JSON files; None removes an entry."""

    def copy(name: str = "config.json", **changes: Any) -> Path:
        folder = tmp_path / "checkpoint"
        shutil.copytree(checkpoint.folder, folder)
        settings = json.loads((folder / name).read_text(encoding="utf-8")) | changes
        kept = {key: value for key, value in settings.items() if value is not None}
        (folder / name).write_text(json.dumps(kept), encoding="utf-8")
        return folder

    return copy
