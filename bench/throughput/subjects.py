"""Makes what is measured: a small checkpoint, trained for minutes on half of the sample, and one of BERT-base's size.

The other half of the sample is what is measured with.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from transformers import BertForSequenceClassification

from bench.measure import Say
from bench.throughput.grow import FACTOR, grow
from export.convert import convert, input_names, quantize
from export.simplify import simplify
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model.bundle_json import CARD, MANIFEST, MODEL, TOKENIZER, Manifest, sha256
from ro32.model.publish import publish
from ro32.train.config import SMALL, Optimizer, Recipe
from ro32.train.device import DType, Kind
from ro32.train.run import Options, run
from ro32.train.watch import Watch

SEED = 20230227
LONGEST = 512  # tokens that BERT-base reads
RECIPE = Recipe(
    base=SMALL.base,
    max_length=256,
    epochs=2,
    optimizer=Optimizer.ADAMW,
    learning_rate=1e-4,
    head_learning_rate=5e-4,
    warmup_share=0.1,
    attention_dropout=0.0,
    seed=SEED,
    validation_papers=200,
)
SAMPLE = Path(__file__).parents[2] / "tests" / "data" / "papers.parquet"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model to measure with, in every form that somebody takes: the small one or that of BERT-base's size."""

    name: str
    shape: dict[str, int]  # of its encoder: layers, hidden and feed_forward
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """A Hugging Face folder."""
        return self.folder / "checkpoint"

    @property
    def bundle(self) -> Path:
        """What `ro32-score` takes."""
        return self.folder / "bundle"


def make_subjects(folder: Path, say: Say) -> tuple[Subject, Subject]:
    """Make the subjects, the small one first; what is there already is taken."""
    shape = {"layers": 6, "hidden": 384, "feed_forward": 1536}
    small = Subject(name="small", shape=shape, folder=folder / "small")
    twice = {name: FACTOR * size for name, size in shape.items()}
    base = Subject(name="base", shape=twice, folder=folder / "base")
    folder.mkdir(parents=True, exist_ok=True)
    learn, _ = halves(folder)
    if not (small.checkpoint / "model.safetensors").exists():
        say("training the small subject")
        shutil.rmtree(small.checkpoint, ignore_errors=True)
        small.folder.mkdir(exist_ok=True)
        options = Options(
            data=learn,
            validation=None,
            output=small.checkpoint,
            cache=small.folder / "cache",
            limit=None,
            device=Kind.CPU,
            dtype=DType.AUTO,
            save_every=1_000,
            resume=False,
            command="python -m bench throughput",
        )
        run(options, RECIPE, Watch(quiet=True))
    if not (base.checkpoint / "model.safetensors").exists():
        say("growing the one of BERT-base's size")
        _grow(small.checkpoint, base.checkpoint)
    for subject in (small, base):
        if not (subject.bundle / MANIFEST).exists():
            say(f"exporting the {subject.name} subject")
            _export(subject)
    return small, base


def halves(folder: Path) -> tuple[Path, Path]:
    """Return two files with every second paper of the sample each: to learn from, and to measure with."""
    paths = folder / "learn.parquet", folder / "measure.parquet"
    sample = pl.read_parquet(SAMPLE)
    for parity, path in enumerate(paths):
        if not path.exists():
            sample.gather_every(2, parity).write_parquet(path)
    return paths


def _grow(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    grown = grow(BertForSequenceClassification.from_pretrained(source), seed=SEED)
    grown.save_pretrained(target)
    for name in ("tokenizer.json", "special_tokens_map.json", CARD):
        shutil.copy(source / name, target / name)
    settings = json.loads((source / "tokenizer_config.json").read_text()) | {"model_max_length": LONGEST}
    (target / "tokenizer_config.json").write_text(json.dumps(settings))


def _export(subject: Subject) -> None:
    """Make the bundle as `python -m export` does, but for its checks: nobody is to rely on this model.

    How the result differs from PyTorch is what the contest measures.
    """
    checkpoint = Checkpoint.open(subject.checkpoint)
    path = convert(checkpoint, subject.folder / "onnx")
    simplified = simplify(path, path.with_name("one-paper.onnx"), max_length=checkpoint.max_length).path
    files = {
        MODEL: quantize(simplified, subject.folder / "int8").read_bytes(),
        TOKENIZER: checkpoint.tokenizer_json,
        CARD: checkpoint.card.encode(),
    }
    manifest = Manifest(
        name=f"{subject.name} subject of the benchmark",
        labels=checkpoint.labels,
        positive_label=RECIPE.category,
        threshold=0.5,
        max_length=checkpoint.max_length,
        separator=checkpoint.tokenizer.separator,
        inputs=input_names(simplified),
        source={"checkpoint_sha256": checkpoint.digest},
        files={name: sha256(content) for name, content in files.items()},
    )
    publish(subject.bundle, {**files, MANIFEST: manifest.to_bytes()}, overwrite=True)
