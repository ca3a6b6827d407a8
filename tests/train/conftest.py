"""What the training tests share: a tiny encoder to start from, and recipes that take seconds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from ro32.train.config import Optimizer, Recipe
from ro32.train.device import DType, Kind
from ro32.train.run import Options

TINY = Path(__file__).parents[1] / "data" / "tiny_checkpoint"

MakeOptions = Callable[..., Options]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """For a model this small, threads cost more than they compute."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT without its classification head: two layers of 48, and its tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    AutoModel.from_pretrained(TINY, add_pooling_layer=True).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_bytes((TINY / name).read_bytes())
    return folder


@pytest.fixture
def recipe(base: Path) -> Recipe:
    """Two epochs over a few hundred papers of the sample: a second or two."""
    return dataclasses.replace(
        Recipe(), base=str(base), max_length=64, epochs=2, optimizer=Optimizer.ADAMW, learning_rate=1e-3, batch_size=16
    )


@pytest.fixture
def options(papers_path: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeOptions:
    """Make options for a run on the sample; changes are given by name."""

    def make(**changes: object) -> Options:
        options = Options(
            data=papers_path,
            validation=None,
            output=tmp_path / "run",
            cache=tmp_path_factory.getbasetemp() / "cache",
            limit=200,
            device=Kind.CPU,
            dtype=DType.FLOAT32,
            save_every=5,
            resume=True,
            command="ro32-train --data papers.parquet",
        )
        return dataclasses.replace(options, **changes)  # type: ignore[arg-type]

    return make
