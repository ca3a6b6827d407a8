"""docs/operations.md: its recipes work, and agree with what the code does."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import polars as pl
import pytest

from ro32.cli.score import command
from ro32.cli.signals import STOPPING
from ro32.errors import Ro32Error
from tests.docs.tables import DOCS, table

PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")
PROGRAM = "/opt/ro32/bin/ro32-score"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def codes() -> dict[int, str]:
    """Return the exit codes of the table, each with what it says of trying again."""
    rows = re.findall(r"^\| ([\d, ]+) \| [^|]+ \| ([^|]*)\|$", PAGE, re.MULTILINE)
    return {int(code): advice.strip() for listed, advice in rows for code in listed.split(",")}


def test_every_exit_code_has_its_advice() -> None:
    raised = {error.exit_code for error in Ro32Error.__subclasses__()}
    assert set(codes()) == {0, Ro32Error.exit_code, *(128 + number for number in STOPPING)} | raised


def hopeless() -> set[int]:
    return {code for code, advice in codes().items() if advice.startswith(("no", "not"))}


def test_systemd_and_airflow_try_again_where_that_helps() -> None:
    (prevented,) = re.findall(r"^RestartPreventExitStatus=(.*)$", PAGE, re.MULTILINE)
    (fix_first,) = re.findall(r"^FIX_FIRST = (.*)$", PAGE, re.MULTILINE)
    assert set(map(int, prevented.split())) == hopeless()
    assert ast.literal_eval(fix_first) == hopeless()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    names = re.findall(r"^`/etc/systemd/system/([\w.-]+)`", PAGE, re.MULTILINE)
    program = tmp_path / "ro32-score"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name, text in zip(names, blocks("ini"), strict=True):
        (tmp_path / name).write_text(text.replace(PROGRAM, str(program)))
    assert len(names) == 3
    for name in names:
        done = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False
        )
        ours = [line for line in done.stderr.splitlines() if "ro32" in line]  # other units of this machine may complain
        assert (done.returncode, ours) == (0, [])


@pytest.fixture
def program(python: Path, tmp_path: Path, tiny_bundle: Path) -> Path:
    """An executable `ro32-score` with the tiny bundle."""
    path = tmp_path / "ro32-score"
    root = Path(__file__).parents[2]
    run = f'{python} -m ro32.cli.score --bundle {tiny_bundle} "$@"'
    path.write_text(f"#!/bin/sh\ncd {root}\nexec {run}\n")
    path.chmod(0o755)
    return path


def test_cron_sends_mail_exactly_when_something_is_wrong(tmp_path: Path, program: Path, papers: pl.DataFrame) -> None:
    """Cron mails what its command writes; run it as cron does: by /bin/sh, with hardly any environment."""
    (line,) = re.findall(r"^15 2 \* \* \*  (.*)$", PAGE, re.MULTILINE)
    line = line.replace(PROGRAM, str(program)).replace("/srv/arxiv", str(tmp_path))

    def mail() -> str:
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    assert "papers.parquet does not exist" in mail()
    papers.head(20).write_parquet(tmp_path / "papers.parquet")
    assert mail() == ""
    assert pl.read_parquet(tmp_path / "labels.parquet").height == 20
    (tmp_path / "labels.parquet").write_bytes(b"damaged")
    assert "is not reused" in mail()


def test_the_file_of_options_holds_options(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    assert set(tomllib.loads(text)) > {"papers", "output"}
    (tmp_path / "ro32.toml").write_text(text)
    with click.Context(command, **command.context_settings) as context:
        command.parse_args(context, ["--config", str(tmp_path / "ro32.toml")])
    assert context.params["output"] == "/srv/arxiv/labels.parquet"
    assert context.params["max_unscored"] == 0.02


def test_alerts_ask_for_metrics_that_there_are() -> None:
    (rules,) = blocks("yaml")
    asked = set(re.findall(r"\bro32_\w+", rules))
    assert len(asked) > 5
    assert asked <= {name for name, *_ in table("report.md", "metrics")}
    assert set(re.findall(r"\bro32_\w+", PAGE)) <= {name for name, *_ in table("report.md", "metrics")}


def test_options_that_are_named_exist() -> None:
    options = {name for parameter in command.params for name in parameter.opts}
    for block in blocks("console") + blocks("text"):
        for line in block.splitlines():
            if "ro32-score" in line and "--help" not in line:
                assert set(re.findall(r"--[\w-]+", line)) <= options | {"--config"}, line
