"""`make model` with a small budget: the whole chain from papers to a bundle that scores."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from ro32.model.classifier import Classifier

ROOT = Path(__file__).parents[2]


def run(command: Sequence[str]) -> str:
    """Run make, show what it said if it fails, and return what it printed."""
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.full
def test_the_whole_chain_makes_a_bundle(papers_path: Path, tmp_path: Path) -> None:
    papers = pl.read_parquet(papers_path)
    for at, name in enumerate(("train", "validation")):
        papers.gather_every(4, offset=at).write_parquet(tmp_path / f"{name}.parquet")
        newer = papers.gather_every(4, offset=at + 2).drop("created")
        newer.with_columns(
            id=pl.format("26{}.{}", pl.lit("04"), pl.int_range(10_000, 10_000 + pl.len()))
        ).write_parquet(tmp_path / f"modern_{name}.parquet")
    (tmp_path / "archive_shares.csv").write_text("archive,share\ncs,0.5\nmath,0.5\n")
    output = tmp_path / "bundle"
    both_passes = f"--max-length 64 --validation-papers 300 --learning-rate 1e-3 --cache {tmp_path / 'cache'} -q"
    command = [
        *("make", "-f", "export/model.mk", f"PYTHON={sys.executable}"),
        *(f"DATA={tmp_path}", f"WORK={tmp_path / 'work'}", f"OUTPUT={output}", "LINEAR_FLAGS=--features 20000"),
        f"FIRST_FLAGS=--preset small --base tests/data/tiny_checkpoint {both_passes}",
        f"SECOND_FLAGS=--preset update --scoring-length 64 --frozen-layers 1 {both_passes}",
        "MANY_FLAGS=--hard-negatives 250 --random-negatives 100",
        "HARDER_FLAGS=--hard-negatives 150 --random-negatives 50",
        "EXPORT_FLAGS=--verify-papers 1000",
        "CERTIFY_FLAGS=--max-share 0.01",  # a thousand papers cannot show less
    ]
    run(command)

    both, full = Classifier.load(output), Classifier.load(output, full=True)
    titles, abstracts = ["A grasping robot arm", "Galaxies"], ["We control a manipulator.", "We observe galaxies."]
    robotics, galaxies = both.predict_proba(titles=titles, abstracts=abstracts)[:, both.manifest.positive_index]
    assert robotics > galaxies
    assert both.scoring_digest != full.scoring_digest
    assert set(both.manifest.quality["views"]) == {"combined", "encoder", "linear"}
    assert both.manifest.cascade is not None

    again = run(command)
    assert "ro32.cli.train" not in again  # what is done is not done again
    assert Classifier.load(output).digest == both.digest
