"""The options of `ro32-score`. Each can also come from the environment (RO32_...) and from a file (--config)."""

from functools import partial

import click
from click.core import ParameterSource

from ro32.cli.config_file import read_config
from ro32.cli.engines import EngineName
from ro32.cli.log import LogFormat
from ro32.cli.parameters import Count, LocalPath, Number, Place
from ro32.data.footer import ALWAYS_ALLOWED_BYTES
from ro32.data.parquet import DEFAULT_MAX_EXPANSION
from ro32.run.drift import DEFAULT_MAX_DRIFT, SIGNIFICANCE
from ro32.run.job import OnError
from ro32.run.plan import DEFAULT_PART_ROWS

ENVIRONMENT_PREFIX = "RO32"


class _Option(click.Option):
    """An option that says of a value that it cannot use whether it came from the environment."""

    def process_value(self, ctx: click.Context, value: object) -> object:
        """Convert and check a value."""
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as error:
            if ctx.get_parameter_source(str(self.name)) is not ParameterSource.ENVIRONMENT:
                raise
            variable = f"{ENVIRONMENT_PREFIX}_{str(self.name).upper()}"
            raise click.BadParameter(f"{error.message} (the variable {variable} says so)", ctx, self) from error


_PATH = LocalPath(readable=False)  # a file that cannot be read is reported where it is opened
_PLACE = Place(readable=False)  # left as text, since the last character of a folder counts
_option = partial(_Option, show_envvar=True)
_count = partial(_option, metavar="N", type=Count(min=1))
_share = partial(_option, metavar="SHARE", type=Number(0, 1))
_target = partial(_option, metavar="SHARE", type=Number(0, 1, min_open=True))
_only_here = partial(click.Option, allow_from_autoenv=False)
"""For what is asked of one call, and would make every other one useless."""

OPTIONS: tuple[click.Parameter, ...] = (
    click.Argument(["papers"], nargs=-1, required=True, metavar="PAPERS..."),
    _option(
        ["-o", "--output"],
        required=True,
        metavar="FILE",
        type=_PLACE,
        help="Labels file to write, local or s3://, gs:// or az://. Its suffix sets the format: .parquet, .csv, .tsv, "
        ".jsonl; - is stdout. A name that ends in / is a folder with a labels file for each input file.",
    ),
    _option(["--prune"], is_flag=True, help="In the output folder, remove labels files without an input file."),
    _option(
        ["--bundle"],
        metavar="BUNDLE",
        type=_PATH,
        show_default="the one that comes with ro32",
        help="Model to score with: a folder, or the name of one that ro32-bundle installed.",
    ),
    _option(
        ["--full"],
        is_flag=True,
        show_default="the bundle's cascade",
        help="Score every paper with the whole model, without the cascade. This counts as another model: its "
        "scores differ, and neither reuses the labels of the other.",
    ),
    click.Option(["--cascade"], type=click.Choice(["auto", "off"]), hidden=True),  # until 0.2: "off" is now --full
    _option(
        ["--strict-cascade"],
        is_flag=True,
        help="Fail, instead of warning, when the audit contradicts the cascade's certificate.",
    ),
    _option(
        ["--threshold"],
        metavar="SCORE",
        type=Number(0, 1, min_open=True),
        show_default="the bundle's",
        help="Minimum score for the positive label. A new threshold reuses existing scores.",
    ),
    _target(
        ["--target-precision"],
        help="Choose the threshold with the highest recall at this precision on the validation papers.",
    ),
    _target(
        ["--target-recall"],
        help="Choose the threshold with the highest precision at this recall on the validation papers.",
    ),
    _option(
        ["--abstain"],
        metavar="LOW:HIGH",
        show_default="every score gets a label",
        help='Leave papers with a score of at least LOW and below HIGH without a label; their error is "uncertain".',
    ),
    _option(["--id-column"], metavar="NAME", default="id", help="Column of the papers' ids."),
    _option(["--title-column"], metavar="NAME", default="title", help="Column of the titles."),
    _option(["--abstract-column"], metavar="NAME", default="abstract", help="Column of the abstracts."),
    _option(
        ["--categories-column"],
        metavar="NAME",
        show_default="categories, if present",
        help="Column of arXiv categories, used to measure the labels of the newest papers. Scores do not depend on it.",
    ),
    _count(["--threads"], show_default="one per core available to this process", help="Number of scoring threads."),
    _option(
        ["--engine"],
        type=click.Choice([item.value for item in EngineName]),
        default=EngineName.LOCAL.value,
        help="Backend: local threads or Ray actors. An actor has --threads threads, by default 1.",
    ),
    _option(
        ["--ray-address"],
        metavar="ADDRESS",
        show_default="RAY_ADDRESS, else a cluster on this machine, else a new one here",
        help="Head of the Ray cluster.",
    ),
    _option(
        ["--ray-actors"],
        metavar="MIN:MAX",
        show_default="from 1 to as many as the cluster's processors allow",
        help="Minimum and maximum number of Ray actors; one number sets both.",
    ),
    _count(
        ["--part-rows"],
        default=DEFAULT_PART_ROWS,
        help="Papers per part, the unit of work and of resuming. Scores do not depend on it.",
    ),
    _option(
        ["--reuse"],
        metavar="FILE",
        type=_PLACE,
        show_default="the labels at -o",
        help="Earlier labels to reuse: papers with the same text keep their score.",
    ),
    _option(["--no-reuse"], is_flag=True, help="Score every paper again."),
    _share(
        ["--max-unscored"],
        default=0.01,
        help="Fail and publish nothing if more than this share of the papers has no score.",
    ),
    _share(
        ["--max-drift"],
        default=DEFAULT_MAX_DRIFT,
        help="Warn when the share of positive papers differs from that of the previous labels by more than this, and "
        f"the difference is significant (p < {SIGNIFICANCE:g}).",
    ),
    _option(
        ["--max-expansion"],
        metavar="FACTOR",
        type=Number(min=1),
        default=DEFAULT_MAX_EXPANSION,
        help="Refuse a file that expands to more than this many times its size and to more than "
        f"{ALWAYS_ALLOWED_BYTES >> 20} MiB.",
    ),
    _option(
        ["--on-error"],
        type=click.Choice([item.value for item in OnError]),
        default=OnError.STOP.value,
        help="If one of several input files is damaged: fail and publish nothing, or skip that file.",
    ),
    _option(
        ["--endpoint-url"],
        metavar="URL",
        show_default="AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, else Amazon's",
        help="Endpoint of an S3-compatible store for s3:// names.",
    ),
    _option(["--allow-http"], is_flag=True, help="Allow inputs at web addresses: https:// and http://."),
    _option(["--report"], metavar="FILE", type=_PATH, help="Write a JSON report of the run, even if it fails."),
    _option(
        ["--metrics-file"],
        metavar="FILE",
        type=_PATH,
        help="Write metrics for Prometheus' textfile collector to FILE, which ends in .prom.",
    ),
    _option(
        ["--log-format"],
        type=click.Choice([item.value for item in LogFormat]),
        default=LogFormat.TEXT.value,
        help="Format of log lines on stderr.",
    ),
    _option(["-q", "--quiet"], is_flag=True, help="Write only warnings and errors to stderr."),
    _only_here(["--status"], is_flag=True, help="Dry run: print how many papers would be scored and how many reused."),
    _only_here(
        ["--explain"],
        metavar="N",
        type=Count(min=1),
        help="Print which words moved the scores of the first N papers, and write no labels.",
    ),
    _only_here(["--json", "as_json"], is_flag=True, help="Print --status or --explain as JSON."),
    _option(
        ["--config"],
        metavar="FILE",
        type=_PATH,
        is_eager=True,
        expose_value=False,
        callback=read_config,
        help='Read options from a TOML file, for example: output = "labels.parquet". The command line takes precedence '
        "over the environment, and the environment over the file.",
    ),
)
