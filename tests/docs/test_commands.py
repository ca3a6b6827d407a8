"""What pages show is run, as it is written, in the order in which a page shows it."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from ro32.model.bundle import Bundle
from tests.docs.commands import ROOT, SCRIPTS, command_named
from tests.docs.place import BASES, within, write_bases, write_place, write_programs
from tests.docs.shown import PAGES, Shown, shown
from tests.warm import COMMANDS, Warm


class NotHere(NamedTuple):
    """Why something that a page shows is not run here.

    Attributes:
        beginning: Pattern of how it begins.
        reason: What it would need.
        where: The test that tries what can be tried.
    """

    beginning: str
    reason: str
    where: str


NOT_HERE = (
    NotHere("make (score|report)$", "installs packages", "tests/smoke/test_newcomer.py"),
    NotHere(r".*python3? -m (venv|build)\b|SOURCE_DATE_EPOCH=", "installs packages", "tests/smoke/test_wheel.py"),
    NotHere(r"(\S*/)?pip install (build|\S*\.whl)", "installs packages", "tests/smoke/test_wheel.py"),
    NotHere(r"pip install '(ro32|\.)\[", "installs gigabytes", "tests/docs/test_commands.py"),
    NotHere("make (test|bench)$", "takes minutes", "tests/docs/test_links.py"),
    NotHere(r".*pytest tests/faults", "takes half an hour", "tests/faults/conftest.py"),
    NotHere("RO32_CHECKPOINT=", "needs the full checkpoint", "tests/export/test_parity.py"),
    NotHere("docker ", "needs an engine", "tests/smoke/test_container.py"),
    NotHere("make train-tpu|PJRT_DEVICE=TPU", "needs a TPU", "tests/train/test_xla.py"),
    NotHere(r".*(s3|https)://", "needs a store", "tests/storage/test_page.py"),
    NotHere(r"python -m export ro-32/|ro32-score .* --bundle bundle/$", "needs ro-32", "tests/export/test_original.py"),
    NotHere(r"ro32-train .*--negatives ", "needs papers of all fields", "tests/train/test_run.py"),
    NotHere(r"ro32-train --data tests/data/", "needs minutes", "tests/train/test_run.py"),
    NotHere(r"ro32-\w+ .*(\bfresh/|\"\$new\")", "needs some thousand papers", "tests/refresh/test_monthly.py"),
    NotHere(r"mkdir -p /srv/arxiv/bundles", "belongs to a script", "tests/refresh/test_monthly.py"),
    NotHere(r"python -m export\.certify", "needs some ten thousand papers", "tests/export/test_certify.py"),
    NotHere("ro32-bundle install hf:", "needs a hub", "tests/export/test_push.py"),
    NotHere(r".*--engine ray|\S*/ray ", "needs a cluster of several machines", "tests/docs/test_cluster.py"),
    NotHere(
        r"python -m export.* (--name cs\.CL|--scores )",
        "needs what 16 minutes teach",
        "tests/export/test_model.py",
    ),
    NotHere(
        r"python -m (export\.restore|ro32\.cli\.sample)|ro32-train --data sample\.parquet",
        "needs an encoder of the shipped one's form, and hours",
        "tests/export/test_restore.py",
    ),
    NotHere(r"[\s\S]*airflow", "needs Airflow", "tests/docs/test_operations.py"),
    NotHere(r"[\s\S]*mapInArrow", "needs Spark", "tests/docs/test_cluster.py"),
)
IMPORTED = (
    *COMMANDS,
    *("export.__main__", "export.views", "export.certify", "export.push"),
    *("ro32.cli.train", "ro32.cli.linear", "ro32.train.run", "ro32.evaluation.checkpoint_model"),
)
"""What the commands of pages are; PyTorch is not imported by each again."""
GENERATED = "reference/commands.md"
"""Most of its examples are on other pages too, and are run there."""
ALL = [item for page in PAGES for item in shown(page)]


def not_here(item: Shown) -> NotHere | None:
    return next((entry for entry in NOT_HERE if re.match(entry.beginning, item.text)), None)


RUN = {page: [item for item in ALL if item.page == page and not not_here(item)] for page in PAGES}
_ONCE = {item.text for page, items in RUN.items() if page != GENERATED for item in items}
RUN[GENERATED] = [item for item in RUN[GENERATED] if item.text not in _ONCE]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user's shell, with encoders that are small."""
    folder = tmp_path_factory.mktemp("machine")
    write_bases(folder)
    hub, packages = (folder / name for name in BASES.values())
    found = {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": f"{packages}:{ROOT}",
        "HF_HOME": str(hub),
        "HF_HUB_OFFLINE": "1",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "SLURM_ARRAY_TASK_ID": "0",
        "OMP_NUM_THREADS": "1",  # for a model this small, threads cost more than they compute
    }
    with Warm(tmp_path_factory.mktemp("warm"), IMPORTED, found) as warm:
        write_programs(folder / "bin", warm.python)
        yield found


@pytest.mark.drawn(4)
@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]])
def test_what_a_page_shows_works(
    page: str,
    variables: dict[str, str],
    cascade_bundle: Path,
    tiny_labels: Path,
    tmp_path: Path,
) -> None:
    made = [word for item in RUN[page] for word in re.findall(r"(?:-o|--output) (\S+)", item.text)]
    programs = Path(variables["PATH"].partition(":")[0])
    write_place(tmp_path, programs=programs, bundle=cascade_bundle, labels=tiny_labels, page=page, made=made)
    variables |= {"HOME": str(tmp_path)}
    for item in RUN[page]:
        text = within(tmp_path, item.text).replace("0f1e...", Bundle.load(cascade_bundle).digest)
        words = [str(programs / "python"), "-c", text] if item.python else ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(
            words, cwd=tmp_path, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{item.text}\n{done.stderr}"


def test_no_reason_is_stale() -> None:
    """Each says of something that a page shows why it is not run, and where it is tried."""
    used = {not_here(item) for item in ALL}
    assert set(NOT_HERE) <= used
    assert all((ROOT / entry.where).exists() for entry in NOT_HERE)


def test_most_of_what_pages_show_is_run() -> None:
    """The other way to have no failure is to find nothing."""
    assert sum(map(len, RUN.values())) > sum(not_here(item) is not None for item in ALL) > 0


@pytest.mark.parametrize("page", PAGES)
def test_options_that_a_page_names_exist(page: str) -> None:
    """In its prose too, where a command stands as code."""
    text = PAGES[page].read_text(encoding="utf-8")
    lines = [item.text for item in ALL if item.page == page] + re.findall(r"`([^`\n]+)`", text)
    for line in lines:
        for name, words in re.findall(rf"(?:^|[\s/])({'|'.join(SCRIPTS)}) ([^|>]*)", line):
            assert set(re.findall(r"(?<!\S)--[\w-]+", words)) <= options(command_named(name)) | {"--help"}, line


def options(command: click.Command) -> set[str]:
    """Return the options of a command and of its subcommands."""
    subs = command.commands.values() if isinstance(command, click.Group) else ()
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*(options(sub) for sub in subs))


def test_extras_that_are_installed_exist() -> None:
    """A name that does not exist, pip would only warn of."""
    declared = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE))
    texts = {page: path.read_text(encoding="utf-8") for page, path in PAGES.items() if page != "decisions.md"}
    named = {
        extra
        for text in texts.values()
        for listed in re.findall(r"(?:ro32|'\.)\[([\w,]+)\]", text)
        for extra in listed.split(",")
    }
    assert {"metrics", "hub", "cloud", "ray", "train", "export"} <= named <= declared
