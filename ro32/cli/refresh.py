"""`ro32-bundle refresh`: fit a bundle again on a dump whose papers have categories."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from ro32.cli.parameters import HELP, PATH, Count, Number, bundle_output, quiet_option, threads_option
from ro32.cli.process import message
from ro32.cli.progress import ProgressDisplay
from ro32.errors import UsageError
from ro32.model.installed import default_store, find
from ro32.model.processor import available_cores
from ro32.run.inputs import distinct

store_option = click.option(
    "--store",
    metavar="FOLDER",
    type=PATH,
    default=default_store,
    show_default="~/.local/share/ro32/bundles",
    help="Folder of installed bundles.",
)


@click.command(name="refresh", context_settings=HELP)
@click.argument("papers", nargs=-1, required=True, type=PATH, metavar="PAPERS...")
@bundle_output
@click.option(
    "--bundle",
    metavar="BUNDLE",
    type=PATH,
    help="Bundle to refresh; it is not changed.  [default: the one that comes with ro32]",
)
@click.option("--category", metavar="NAME", help="Category of the positive papers.  [default: the bundle's label]")
@click.option("--new", is_flag=True, help="Make a first bundle for --category, with a linear view and no encoder.")
@click.option("--negatives", metavar="FILE", type=PATH, help="File of papers that all count as negative.")
@click.option(
    "--since",
    metavar="DATE",
    help="Calibrate and compare on papers from this month on, such as 2024-11.  [default: the last two years]",
)
@click.option(
    "--hold-out",
    metavar="SHARE",
    type=Number(0, 0.5, min_open=True),
    default=0.2,
    help="Share of the papers, chosen by a hash of their ids, to hold out from fitting the linear view.",
)
@click.option(
    "--training-papers",
    metavar="N",
    type=Count(min=1000),
    default=500_000,
    help="Maximum number of papers to fit the linear view on; each needs 2 kB of memory.",
)
@threads_option
@store_option
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle at FOLDER.")
@quiet_option
def refresh_command(
    *,
    papers: tuple[Path, ...],
    output: Path,
    bundle: Path | None,
    category: str | None,
    new: bool,
    negatives: Path | None,
    since: str | None,
    hold_out: float,
    training_papers: int,
    threads: int | None,
    store: Path,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Refresh a bundle on a dump whose papers have categories; needs ro32[refresh].

    The encoder stays; the linear view, combination, threshold and cascade are fitted again. The new bundle is published
    only if it is significantly better than the old one on the newest papers. With --new there is no old bundle, and
    the new one has only a linear view.

    Example: ro32-bundle refresh papers.parquet -o fresh/
    """
    if new and bundle is not None:
        raise UsageError(f"--new makes a bundle from papers alone, and --bundle {bundle} names one; give one of them")
    from ro32.refresh.refit import refresh  # noqa: PLC0415 - scipy, which only this command needs

    def say(line: str) -> None:
        if not quiet:
            click.echo(message(line), err=True)

    with ExitStack() as shown:

        def announce(step: str, papers: int = 0) -> Callable[[int], None]:
            """Announce a step, with its own progress bar."""
            shown.close()
            say(step)
            return shown.enter_context(ProgressDisplay(quiet=quiet)).count(papers)

        fitted, published = refresh(
            None if new else find(bundle, store),
            distinct(papers, lambda _, sentence: say(f"warning: {sentence}")),
            output,
            category=category,
            negatives=negatives,
            since=since,
            hold_out=hold_out,
            training_papers=training_papers,
            threads=threads or available_cores(),
            overwrite=overwrite,
            announce=announce,
        )
    click.echo(fitted.table())
    if published is None:
        say("The new bundle is not better than the old one by more than chance, so nothing was published.")
    else:
        say(f"{output}: {published.manifest.name}, {published.digest}")
