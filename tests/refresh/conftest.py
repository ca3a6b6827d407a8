"""A synthetic dump that a linear view can learn from, in which the words of the category changed two years ago."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, LINEAR, MANIFEST, MODEL, TOKENIZER, sha256
from ro32.model.views import View
from ro32.train.fit_linear import LinearRecipe, fit, stack_features

OLD, NEW = ("manipulator", "gripper", "legged"), ("humanoid", "teleoperation", "quadruped")
COMMON = [f"word{number}" for number in range(300)]


def make_papers(papers: int, seed: int) -> pl.DataFrame:
    """Write papers of 2020 to 2025, one in ten of cs.RO; what is new is named by new words."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(papers):
        year, month, positive = 2020 + at % 6, 1 + at % 12, rng.random() < 0.1
        words = list(rng.choice(COMMON, 30))
        if rng.random() < (0.9 if positive else 0.02):
            words += list(rng.choice(OLD if year < 2024 else NEW, 2))
        rows.append(
            {
                "id": f"{year % 100:02}{month:02}.{at:05}",
                "title": " ".join(words[-5:]),
                "abstract": " ".join(rng.permutation(words)),
                "categories": "cs.RO cs.AI" if positive else "math.AG",
            }
        )
    return pl.DataFrame(rows)


@pytest.fixture(scope="session")
def dump() -> pl.DataFrame:
    """6,000 papers."""
    return make_papers(6_000, seed=1)


@pytest.fixture(scope="session")
def dump_path(dump: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "papers.parquet"
    dump.write_parquet(path)
    return path


@pytest.fixture(scope="session")
def parent(tiny_bundle: Path, dump: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder, and a linear view that was fitted on the papers before 2024."""
    before = dump.filter(pl.col("id").str.slice(0, 2).cast(pl.Int64) < 24)
    linear = fit(stack_features([before], "cs.RO"), LinearRecipe(features=5_000)).to_bytes()
    plain = Bundle.load(tiny_bundle)
    files = {
        MODEL: plain.model,
        TOKENIZER: plain.tokenizer,
        LINEAR: linear,
        CARD: b"# Card\n\n![loss](loss.png)\n\n## Views\n\nOf the parent.\n",
        "loss.png": b"a picture",
        "reliability.png": b"a picture of the parent's views",
    }
    view = View(intercept=0.0, encoder=0.05, linear=1.0, threshold=0.3)
    files[MANIFEST] = replace(
        plain.manifest,
        views={"combined": view},
        view="combined",
        threshold=0.3,
        files={name: sha256(content) for name, content in files.items()},
    ).to_bytes()
    folder = tmp_path_factory.mktemp("parent") / "bundle"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
