"""`ro32-train`: fine-tune an encoder on a dump of arXiv metadata."""

import dataclasses
import os
import shlex
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from ro32.cli.numbers import Count
from ro32.cli.process import run
from ro32.cli.version import version_option

FOLDER = click.Path(path_type=Path)
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.command(name="ro32-train", context_settings=HELP)
@click.option("--data", required=True, metavar="FILE", type=FOLDER, help="Dump to learn from: Parquet or JSON lines.")
@click.option("--validation", metavar="FILE", type=FOLDER, help="Dump to validate on.  [default: 15 % of --data]")
@click.option(
    "--preset",
    type=click.Choice(["original", "small", "update"]),
    default="original",
    show_default=True,
    help="Recipe: the original ro-32's, that of a small model, or of one more pass over newer papers.",
)
@click.option("--base", metavar="MODEL", help="Encoder to start from: a folder, a hub name, or package:NAME/FOLDER.")
@click.option("--category", metavar="NAME", help="Category to recognize.  [default: cs.RO]")
@click.option(
    "-o", "--output", metavar="FOLDER", type=FOLDER, default="checkpoint", show_default=True, help="Folder to write."
)
@click.option("--limit", metavar="N", type=Count(min=1), help="Take about N papers, chosen by their ids.")
@click.option("--epochs", metavar="N", type=int, help="Passes over the papers.")
@click.option("--batch-size", metavar="N", type=int, help="Papers a step, over all devices.")
@click.option("--max-length", metavar="N", type=int, help="Tokens a paper is cut to.")
@click.option("--scoring-length", metavar="N", type=int, help="Tokens a paper is cut to when scored.")
@click.option("--learning-rate", metavar="RATE", type=float, help="Peak of the schedule.")
@click.option("--frozen-layers", metavar="N", type=int, help="Lowest layers that keep the base's weights.")
@click.option("--hard-negatives", metavar="N", type=int, help="Hardest negatives to train on.")
@click.option("--random-negatives", metavar="N", type=int, help="Further negatives, drawn at random.")
@click.option("--positive-repeats", metavar="N", type=int, help="Times an epoch shows each positive paper.")
@click.option("--dropout", metavar="SHARE", type=float, help="Of hidden states.  [default: the base model's]")
@click.option(
    "--attention-dropout", metavar="SHARE", type=float, help="Of attention weights.  [default: the base model's]"
)
@click.option(
    "--distillation", metavar="SHARE", type=float, help="Share of a target that a linear model gives, not the label."
)
@click.option(
    "--auxiliary-weight", metavar="WEIGHT", type=float, help="Of naming all of a paper's categories, a second task."
)
@click.option("--validation-papers", metavar="N", type=int, help="Measure on about N papers that speak for all.")
@click.option("--seed", metavar="N", type=int, help="Of the split, the order, the head and dropout.")
@click.option(
    "--average/--no-average",
    default=None,
    help="Also measure the mean of the weights after the first and the last epoch, and keep it if it is best.",
)
@click.option("--keep", type=click.Choice(["ap", "f1"]), help="Measure by which the best epoch is kept.")
@click.option(
    "--device",
    type=click.Choice(["auto", "tpu", "cuda", "cpu"]),
    default="auto",
    show_default=True,
    help="What to train on; auto takes the first that is there.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Arithmetic of matrix products; auto takes bfloat16 where the hardware has it.",
)
@click.option("--cache", metavar="FOLDER", type=FOLDER, help="Folder of tokenized dumps.  [default: ~/.cache/ro32]")
@click.option(
    "--save-every",
    metavar="N",
    type=Count(min=1),
    default=200,
    show_default=True,
    help="Steps between two snapshots.",
)
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on with the run that the folder holds.")
@click.option("-q", "--quiet", is_flag=True, help="Write nothing to stderr but errors.")
@version_option()
def command(
    *,
    data: Path,
    validation: Path | None,
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
    """Fine-tune an encoder so that it tells which papers belong in a category.

    With no options but --data this is the recipe of the original ro-32. A run that is stopped, by a signal or a power
    cut, goes on when the same command is given again. The folder becomes an ordinary Hugging Face checkpoint.

    Example: ro32-train --data dump.parquet --preset small -o checkpoint
    """
    # Imported here: a scoring host has none of it, and --help needs none.
    from ro32.train.config import PRESETS, Keep  # noqa: PLC0415
    from ro32.train.device import DType, Kind  # noqa: PLC0415
    from ro32.train.run import Options  # noqa: PLC0415
    from ro32.train.run import run as train  # noqa: PLC0415
    from ro32.train.watch import Watch  # noqa: PLC0415

    changed = {name: value for name, value in changes.items() if value is not None}
    if "keep" in changed:
        changed["keep"] = Keep(changed["keep"])
    recipe = dataclasses.replace(PRESETS[preset], **changed)
    options = Options(
        data=data,
        validation=validation,
        output=output,
        cache=cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ro32",
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


def main() -> NoReturn:
    """Run the command."""
    run(command)


if __name__ == "__main__":
    main()
