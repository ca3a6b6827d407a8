"""Options from a file and from the environment mean what they mean on the command line."""

import itertools
from collections.abc import Callable
from pathlib import Path

import click
import polars as pl
import pytest

from ro32.cli import score as module
from ro32.cli.config_file import mistyped_variables
from ro32.cli.score import command as score_command
from ro32.errors import Interrupted
from ro32.run.job import OnError, Settings
from tests.command_line import Invoke, Outcome, Score

Write = Callable[[str], Path]
Seen = dict[str, object]
Args = list[str | Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration file."""

    def call(text: str) -> Path:
        path = tmp_path / "ro32.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return call


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> Seen:
    """Stop a run where it would begin, and keep what it was called with."""
    monkeypatch.setenv("RO32_BUNDLE", str(tiny_bundle))
    seen: Seen = {}

    def stop(papers: tuple[str, ...], output: Path, *, settings: Settings, **_: object) -> None:
        seen.update(papers=papers, output=output, settings=settings)
        raise Interrupted(15)

    monkeypatch.setattr(module, "score_file", stop)
    return seen


def settings_of(seen: Seen) -> Settings:
    settings = seen["settings"]
    assert isinstance(settings, Settings)
    return settings


PLACES = ("command line", "environment", "file")


@pytest.mark.parametrize("places", [set(some) for n in range(4) for some in itertools.combinations(PLACES, n)])
def test_the_command_line_goes_before_the_environment_before_the_file(
    invoke: Invoke, write: Write, seen: Seen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, places: set[str]
) -> None:
    """Wherever an option is given, the first of these places counts; where it is given nowhere, its default does."""
    args: Args = ["papers.parquet", "-o", tmp_path / "labels.parquet"]
    if "command line" in places:
        args += ["--part-rows", "1"]
    if "environment" in places:
        monkeypatch.setenv("RO32_PART_ROWS", "2")
    if "file" in places:
        args += ["--config", write("part-rows = 3")]
    assert invoke(score_command, args).code == 143
    first = next((number for number, place in enumerate(PLACES, 1) if place in places), Settings().part_rows)
    assert settings_of(seen).part_rows == first


def test_a_file_sets_every_kind_of_option(invoke: Invoke, write: Write, seen: Seen, tmp_path: Path) -> None:
    path = write(
        f"""
        papers = ["one.parquet", "two [2026].parquet"]
        output = "{tmp_path}/labels.parquet"
        max-unscored = 0.5
        max-drift = 1
        threads = 3
        no-reuse = true
        on-error = "skip-file"
        id-column = "paper"
        """
    )
    assert invoke(score_command, ["--config", path]).code == 143
    settings = settings_of(seen)
    assert seen["papers"] == ("one.parquet", "two [2026].parquet")
    assert seen["output"] == tmp_path / "labels.parquet"
    assert (settings.max_unscored, settings.max_drift, settings.threads) == (0.5, 1, 3)
    assert (settings.no_reuse, settings.on_error, settings.columns.id) == (True, OnError.SKIP_FILE, "paper")


def test_one_input_needs_no_list(invoke: Invoke, write: Write, seen: Seen, tmp_path: Path) -> None:
    assert invoke(score_command, ["--config", write('papers = "my papers.parquet"'), "-o", tmp_path / "l"]).code == 143
    assert seen["papers"] == ("my papers.parquet",)


def test_every_option_can_come_from_the_environment(
    invoke: Invoke, write: Write, seen: Seen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even the file."""
    monkeypatch.setenv("RO32_CONFIG", str(write("part-rows = 3\nthreads = 5")))
    monkeypatch.setenv("RO32_OUTPUT", str(tmp_path / "labels.parquet"))
    monkeypatch.setenv("RO32_NO_REUSE", "1")
    monkeypatch.setenv("RO32_THREADS", "4")
    assert invoke(score_command, ["papers.parquet"]).code == 143
    settings = settings_of(seen)
    assert (settings.part_rows, settings.threads, settings.no_reuse) == (3, 4, True)


def test_help_names_the_variables(invoke: Invoke) -> None:
    text = " ".join(invoke(score_command, ["--help"]).stdout.split())
    options = [item for item in score_command.params if isinstance(item, click.Option) and not item.hidden]
    names = {str(option.name) for option in options}
    here_alone = {"status", "explain", "as_json", "version", "help"}
    assert all(f"env var: RO32_{name.upper()}" in text for name in names - here_alone)
    assert text.count("env var: ") == len(names - here_alone)


def test_what_is_asked_of_one_call_comes_from_nowhere_else(
    invoke: Invoke, write: Write, seen: Seen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host's RO32_VERSION must not turn every run into a report of its version."""
    for name in ("STATUS", "JSON", "AS_JSON", "VERSION", "HELP"):
        monkeypatch.setenv(f"RO32_{name}", "1")
    args: Args = ["papers.parquet", "-o", tmp_path / "labels.parquet"]
    assert invoke(score_command, args).code == 143
    for key in ("status", "json", "version", "help", "config"):
        assert invoke(score_command, [*args, "--config", write(f"{key} = true")]).code == 2
    assert seen["papers"] == ("papers.parquet",)


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2, outcome.stderr
    assert outcome.stdout == ""
    for word in words:
        assert word in outcome.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max-unscord = 0.02", "there is no option 'max-unscord'; did you mean 'max-unscored'?"),
        ("max_unscored = 0.02", "did you mean 'max-unscored'?"),
        ("colour = 1", "there is no option 'colour'"),
        ("[score]\nthreads = 1", "there is no option 'score'"),
        ("threads = 0", "threads: 0 is not in the range x>=1"),
        ("threads = 1.5", "threads: '1.5' is not a valid whole number"),
        ('threshold = "high"', "threshold: 'high' is not a valid number"),
        ("threads = true", "threads: expected one string or number, found True"),
        ("no-reuse = 1", "no-reuse: expected true or false, found 1"),
        ('no-reuse = "no"', "no-reuse: expected true or false, found 'no'"),
        ("output = []", "output: expected one string or number, found []"),
        ("papers = 1", "papers: expected a string or a list of strings, found 1"),
        ("papers = []", "papers: expected a string or a list of strings"),
        ('papers = "a\\u0000b"', "papers: expected a string or a list of strings"),
        ('bundle = "a\\u0000b"', "bundle: embedded null byte"),
        (f"part-rows = 0x{'f' * 4_000}", "part-rows: Exceeds the limit"),
        ("max-expansion = inf", "max-expansion: 'inf' is not a number"),
        ('on-error = "skip"', "on-error: 'skip' is not one of 'stop', 'skip-file'"),
        ("threads = ", "is not TOML"),
        ("threads = 1\nthreads = 2", "is not TOML"),
    ],
)
def test_a_file_is_checked_like_a_command_line(invoke: Invoke, write: Write, text: str, words: str) -> None:
    path = write(text)
    refused(invoke(score_command, ["papers.parquet", "-o", "labels.parquet", "--config", path]), str(path), words)


def test_a_file_that_is_not_there_is_reported(invoke: Invoke, tmp_path: Path) -> None:
    args: Args = ["papers.parquet", "-o", "labels.parquet", "--config", tmp_path / "no.toml"]
    refused(invoke(score_command, args), "no.toml: cannot be read", "name a TOML file")


def test_a_file_of_another_encoding_is_reported(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "ro32.toml").write_bytes('output = "Müller"'.encode("latin-1"))
    refused(invoke(score_command, ["p", "--config", tmp_path / "ro32.toml"]), "is not TOML")


def test_a_mark_of_utf_8_is_no_part_of_the_options(score: Score, tmp_path: Path, papers_path: Path) -> None:
    (tmp_path / "ro32.toml").write_bytes(b"\xef\xbb\xbfquiet = true\r\n")
    done = score(papers_path, "-o", tmp_path / "labels.parquet", "--status", "--config", tmp_path / "ro32.toml")
    assert done.code == 0, done.stderr


def test_a_variable_with_a_bad_value_is_reported(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RO32_THREADS", "many")
    refused(invoke(score_command, ["papers.parquet", "-o", "labels.parquet"]), "'--threads'", "RO32_THREADS", "many")


def test_a_mistyped_variable_is_reported() -> None:
    environment = {"RO32_MAX_UNSCORD": "0.5", "RO32_CHECKPOINT": "x", "RO32_THREADS": "1"}
    with click.Context(score_command, auto_envvar_prefix="RO32") as context:
        found = list(mistyped_variables(context, environment))
    assert found == ["the variable RO32_MAX_UNSCORD sets no option; did you mean 'RO32_MAX_UNSCORED'?"]


def test_a_mistyped_variable_warns_and_does_no_more(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, papers: pl.DataFrame, tiny_bundle: Path, tmp_path: Path
) -> None:
    papers.head(5).write_parquet(tmp_path / "papers.parquet")
    monkeypatch.setenv("RO32_THREAD", "1")
    args: Args = [tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet", "--bundle", tiny_bundle, "--quiet"]
    outcome = invoke(score_command, args)
    assert outcome.code == 0
    warning = "the variable RO32_THREAD sets no option; did you mean 'RO32_THREADS'?"
    assert outcome.stderr == f"ro32-score: warning: {warning}\n"
