"""`ro32-train`: fine-tune an encoder on a dump of arXiv metadata."""

import dataclasses
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ro32.cli.parameters import HELP, PATH, Count, quiet_option
from ro32.cli.process import run
from ro32.cli.version import version_option
from ro32.errors import UsageError
from ro32.model.text_form import TextForm
from ro32.train.config import PRESETS, Keep, Split


@click.command(name="ro32-train", context_settings=HELP)
@click.option("--data", required=True, metavar="FILE", type=PATH, help="Dump to train on: Parquet, JSON lines or CSV.")
@click.option("--validation", metavar="FILE", type=PATH, help="Dump to validate on.  [default: 15 % of --data]")
@click.option("--negatives", metavar="FILE", type=PATH, help="File of papers that all count as negative.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="original",
    help="Recipe: the original ro-32, a small model, or one more pass over newer papers.",
)
@click.option("--base", metavar="MODEL", help="Encoder to start from: a folder, a hub name, or package:NAME/FOLDER.")
@click.option("--category", metavar="NAME", help="Category to recognize.  [default: cs.RO]")
@click.option("--from-year", metavar="YEAR", type=int, help="Exclude papers of earlier years; 0 excludes none.")
@click.option(
    "--text-form",
    type=click.Choice([item.value for item in TextForm]),
    help="How title and abstract become the tokenized text.  [default: the base model's]",
)
@click.option("-o", "--output", metavar="FOLDER", type=PATH, default="checkpoint", help="Folder to write.")
@click.option("--limit", metavar="N", type=Count(min=1), help="Take about N papers, chosen by their ids.")
@click.option("--epochs", metavar="N", type=int, help="Passes over the papers.")
@click.option("--batch-size", metavar="N", type=int, help="Papers in an optimizer step, over all devices.")
@click.option("--max-length", metavar="N", type=int, help="Maximum number of tokens of a paper.")
@click.option(
    "--full-length/--no-full-length",
    default=None,
    help="Pad every paper to the maximum number of tokens, and do not group papers by length.",
)
@click.option("--scoring-length", metavar="N", type=int, help="Maximum number of tokens when a paper is scored.")
@click.option("--learning-rate", metavar="RATE", type=float, help="Peak learning rate.")
@click.option("--frozen-layers", metavar="N", type=int, help="Number of lowest layers to freeze.")
@click.option("--hard-negatives", metavar="N", type=int, help="Number of hard negatives, as ranked by a linear model.")
@click.option("--random-negatives", metavar="N", type=int, help="Number of further negatives, drawn at random.")
@click.option(
    "--positive-repeats", metavar="N", type=int, help="Number of times each positive paper occurs in an epoch."
)
@click.option("--dropout", metavar="SHARE", type=float, help="Dropout of hidden states.  [default: the base model's]")
@click.option(
    "--attention-dropout",
    metavar="SHARE",
    type=float,
    help="Dropout of attention weights.  [default: the base model's]",
)
@click.option("--distillation", metavar="SHARE", type=float, help="Weight of the linear teacher in the target, 0 to 1.")
@click.option("--auxiliary-weight", metavar="WEIGHT", type=float, help="Weight of the auxiliary category loss.")
@click.option(
    "--validation-papers", metavar="N", type=int, help="Validate on a representative sample of about N papers."
)
@click.option("--seed", metavar="N", type=int, help="Seed of the split, the order, the head and dropout.")
@click.option(
    "--split",
    type=click.Choice([item.value for item in Split]),
    help="Split --data by a hash of the id, or stratified by first category.",
)
@click.option("--split-seed", metavar="N", type=int, help="Seed of the split only.")
@click.option(
    "--average/--no-average",
    default=None,
    help="Also evaluate the mean of the weights after the first and the last epoch, and keep it if it is best.",
)
@click.option("--keep", type=click.Choice([item.value for item in Keep]), help="Metric that selects the best epoch.")
@click.option(
    "--device",
    type=click.Choice(["auto", "tpu", "cuda", "cpu"]),
    default="auto",
    help="Device; auto takes a TPU, else CUDA, else the CPU.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    help="Data type of matrix products; auto takes bfloat16 if the hardware supports it.",
)
@click.option(
    "--cache", metavar="FOLDER", type=PATH, help="Folder to cache tokenized dumps in.  [default: ~/.cache/ro32]"
)
@click.option("--save-every", metavar="N", type=Count(min=1), default=200, help="Steps between checkpoints.")
@click.option("--resume/--no-resume", default=True, help="Resume the run in the output folder.")
@quiet_option
@version_option
def command(
    *,
    data: Path,
    validation: Path | None,
    negatives: Path | None,
    preset: str,
    output: Path,
    limit: int | None,
    device: str,
    dtype: str,
    cache: Path | None,
    save_every: int,
    resume: bool,
    quiet: bool,
    **changes: Any,  # noqa: ANN401 - what the recipe's own fields are given
) -> None:
    """Fine-tune an encoder to classify which papers belong in a category.

    The default recipe is that of the original ro-32. The same command resumes an interrupted run. The output folder is
    an ordinary Hugging Face checkpoint.

    Example: ro32-train --data dump.parquet --preset small -o checkpoint
    """
    # Imported here: a scoring host has none of it, and --help needs none.
    from ro32.train.corpus import default_cache  # noqa: PLC0415
    from ro32.train.device import DType, Kind  # noqa: PLC0415
    from ro32.train.run import Options  # noqa: PLC0415
    from ro32.train.run import run as train  # noqa: PLC0415
    from ro32.train.watch import Watch  # noqa: PLC0415

    changed = {name: value for name, value in changes.items() if value is not None}
    for name, kind in (("keep", Keep), ("split", Split), ("text_form", TextForm)):
        if name in changed:
            changed[name] = kind(changed[name])
    if preset == "update" and "base" not in changed:
        raise UsageError("--preset update: name the trained model with --base; export.restore makes one from a bundle")
    recipe = dataclasses.replace(PRESETS[preset], **changed)
    options = Options(
        data=data,
        validation=validation,
        negatives=negatives,
        output=output,
        cache=cache or default_cache(),
        limit=limit,
        device=Kind(device),
        dtype=DType(dtype),
        save_every=save_every,
        resume=resume,
        command=shlex.join(["ro32-train", *_given(click.get_current_context())]),
    )
    train(options, recipe, Watch(quiet=quiet))


def _given(context: click.Context) -> list[str]:
    """Return the options that were given, as they would be typed; of a path, its name alone."""
    words: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words.append(option.opts[0] if value else option.secondary_opts[0])
        else:
            words += [max(option.opts, key=len), value.name if isinstance(value, Path) else str(value)]
    return words


main = partial(run, command)

if __name__ == "__main__":
    main()
