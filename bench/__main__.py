"""`python -m bench`: measure, and record the results."""

import json
from functools import partial
from importlib import import_module
from pathlib import Path

import click

from bench import results
from bench.compare import slower
from bench.report import PAGE, REPORT, headline, newest, page, render
from ro32.cli.parameters import HELP, PATH, Count
from ro32.cli.process import AlreadyReported, run

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "papers.parquet"


@click.group(name="bench", context_settings=HELP)
@click.option(
    "--results",
    "folder",
    metavar="FOLDER",
    type=PATH,
    default=results.FOLDER,
    show_default="bench/results",
    help="Folder of results files.",
)
@click.pass_context
def main(context: click.Context, folder: Path) -> None:
    """Measure ro32 and its alternatives.

    Each benchmark writes a section into the results file of this machine and day, and checks its bounds; the exit code
    is 1 if one is missed.
    """
    context.obj = folder


_say = partial(click.echo, err=True)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
papers_option = click.option(
    "--papers",
    metavar="FILE",
    type=_FILE,
    default=SAMPLE,
    show_default="the sample of the tests",
    help="Papers with categories.",
)
modern_option = click.option(
    "--modern",
    metavar="FILE",
    type=_FILE,
    default=SAMPLE.with_name("modern_papers.parquet"),
    show_default="the sample of the tests",
    help="Recent papers with categories.",
)


@main.command()
@papers_option
@click.option("--max-length", metavar="N", default=512, help="Maximum number of tokens of a paper.")
@click.option("--repeats", metavar="N", default=3, type=Count(min=2), help="Number of repeats.")
@click.pass_obj
def training(folder: Path, *, papers: Path, max_length: int, repeats: int) -> None:
    """Compare the training loop with transformers.Trainer: MiniLM on the CPU."""
    _record(folder, "training", "bench.training:compare", papers, max_length=max_length, repeats=repeats)


@main.command()
@papers_option
@click.option("--rows", metavar="N", default=2_500_000, help="Number of papers in the dump.")
@click.option("--small-rows", metavar="N", default=100_000, help="Number of papers in a second, small dump.")
@click.option("--new", metavar="N", default=1_000, help="Number of papers without labels.")
@click.option("--repeats", metavar="N", default=3, type=Count(min=1), help="Number of repeats.")
@click.pass_obj
def nightly(folder: Path, *, papers: Path, rows: int, small_rows: int, new: int, repeats: int) -> None:
    """Measure a nightly run: a dump whose papers have labels, except the newest ones."""
    settings = {"rows": rows, "small_rows": small_rows, "new": new, "repeats": repeats}
    _record(folder, "nightly", "bench.nightly:measure", papers, **settings)


@main.command()
@papers_option
@modern_option
@click.option("--every", metavar="N", default=16, help="Score only every Nth paper in full.")
@click.option("--repeats", metavar="N", default=2, type=Count(min=1), help="Number of repeats.")
@click.pass_obj
def cascade(folder: Path, *, papers: Path, modern: Path, every: int, repeats: int) -> None:
    """Compare the cascade with full scoring, on today's mix of papers."""
    _record(folder, "cascade", "bench.cascade:measure", papers, modern, every=every, repeats=repeats)


@main.command()
@papers_option
@modern_option
@click.option("--rows", metavar="N", default=2_700_000, type=Count(min=1), help="Number of papers in the dump.")
@click.pass_obj
def first(folder: Path, *, papers: Path, modern: Path, rows: int) -> None:
    """Measure the first run over all of arXiv, from nothing to labels; it takes most of an hour."""
    _record(folder, "first", "bench.first:measure", papers, modern, rows=rows)


@main.command()
@click.option(
    "--subjects",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/bench"),
    help="Folder of the models to measure; missing ones are created.",
)
@click.option("--repeats", metavar="N", default=5, type=Count(min=2), help="Number of repeats.")
@click.option("--full", is_flag=True, help="Use more papers, and try more settings of each peer.")
@click.pass_obj
def throughput(folder: Path, *, subjects: Path, repeats: int, full: bool) -> None:
    """Compare scoring with its alternatives, and with the peak rate of the processor."""
    _record(folder, "throughput", "bench.throughput.section:measure", subjects.resolve(), repeats=repeats, full=full)


@main.command()
@click.argument("papers", nargs=-1, required=True, metavar="PAPERS...", type=_FILE)
@click.option(
    "--bundle", metavar="BUNDLE", type=PATH, help="Bundle to refresh.  [default: the one that comes with ro32]"
)
@click.pass_obj
def refresh(folder: Path, *, papers: tuple[Path, ...], bundle: Path | None) -> None:
    """Measure a refresh of a bundle on real papers with categories."""
    _record(folder, "refresh", "bench.refresh:measure", *papers, bundle=bundle)


@main.command()
@papers_option
@click.option("--rows", metavar="N", default=8_000, help="Number of papers in the dump.")
@click.option("--part-rows", metavar="N", default=200, help="Number of papers in a part.")
@click.option("--repeats", metavar="N", default=3, type=Count(min=1), help="Number of repeats.")
@click.pass_obj
def ray(folder: Path, *, papers: Path, rows: int, part_rows: int, repeats: int) -> None:
    """Compare the Ray engine with the local one, on the same cores."""
    _record(folder, "ray", "bench.cluster:measure", papers, rows=rows, part_rows=part_rows, repeats=repeats)


@main.command()
@click.argument("before", metavar="A.json", type=_FILE)
@click.argument("after", metavar="B.json", type=_FILE)
def compare(before: Path, after: Path) -> None:
    """Print what became slower from A to B; the exit code is 1 if anything did.

    Both are results files of the same machine.
    """
    try:
        found = slower(results.read(before), results.read(after))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for line in found:
        click.echo(line)
    if found:
        raise AlreadyReported(1)
    _say("nothing got slower beyond noise")


@main.command()
@click.option(
    "--first",
    metavar="A.json",
    type=_FILE,
    help="Results file of the machine to show first.  [default: the newest results]",
)
@click.pass_obj
def report(folder: Path, first: Path | None) -> None:
    """Write REPORT.md and REPORT.html from the results files, and print the main figures as a line of JSON."""
    found = newest(folder, first)
    texts = {REPORT: render(found)}
    if "throughput" in found:
        texts[PAGE] = page(*found["throughput"][0])
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    _say(f"written to {' and '.join(map(str, texts))}")
    click.echo(json.dumps(headline(found)))


def _record(folder: Path, name: str, target: str, *papers: Path, **settings: int | Path | None) -> None:
    """Measure a section by `module:function`, record it, print the checks, and fail if a bound is missed."""
    module, _, function = target.partition(":")
    measure = getattr(import_module(module), function)  # imported here: each benchmark needs packages of its own
    path, section = results.record(name, partial(measure, *papers, **settings, say=_say), folder)
    for check in section.checks:
        bound = f"at least {check['at_least']:.4g}" if "at_least" in check else f"at most {check['at_most']:.4g}"
        click.echo(f"{'ok  ' if check['holds'] else 'MISS'}  {check['what']}: {check['found']:.4g}, {bound}")
    _say(f"written to {path}")
    if not all(check["holds"] for check in section.checks):
        raise AlreadyReported(1)


if __name__ == "__main__":
    run(main)
