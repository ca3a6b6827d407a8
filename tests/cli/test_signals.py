"""A signal ends a command wherever it comes: in a destructor and in a library's own clean-up, too."""

import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import indent

import polars as pl
import pytest

FRAME = """
import os, signal, time
import click
from ro32.cli.process import run
from ro32.errors import check_interrupted

class Held:
    def __del__(self):
{in_destructor}

def library():
{in_library}

@click.command("a-command")
def command():
    check_interrupted()
    held = Held()
    del held
    library()
    check_interrupted()
    print("published")

run(command)
"""
SIGNAL = "os.kill(os.getpid(), signal.{name}); time.sleep(1)"


Run = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture
def run(python: Path) -> Run:
    """Run a command that lets go of an object and calls a library."""
    return partial(run_with, python)


def run_with(python: Path, in_destructor: str, in_library: str) -> subprocess.CompletedProcess[str]:
    program = FRAME.format(in_destructor=indent(in_destructor, " " * 8), in_library=indent(in_library, " " * 4))
    return subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=15, check=False)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129), ("SIGXCPU", 152)])
def test_a_signal_that_a_destructor_swallows_ends_the_command_before_it_publishes(
    run: Run, name: str, code: int
) -> None:
    done = run(SIGNAL.format(name=name), "pass")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"a-command: stopped by {name}; ")
    assert done.stderr.count("\n") == 1


def test_what_fails_after_a_signal_failed_by_it(run: Run) -> None:
    done = run(SIGNAL.format(name="SIGTERM"), "raise ValueError('a thread panicked')")
    assert done.returncode == 143
    assert done.stderr.startswith("a-command: stopped by SIGTERM; ")
    assert done.stderr.count("\n") == 1


def test_what_a_destructor_raises_itself_is_reported_as_ever(run: Run) -> None:
    done = run("raise ValueError('not closed')", "raise SystemExit(0)")
    assert done.returncode == 0
    assert "Exception ignored" in done.stderr
    assert "ValueError: not closed" in done.stderr


def test_a_second_signal_ends_a_command_that_cleans_up_for_too_long(run: Run) -> None:
    terminate = "os.kill(os.getpid(), signal.SIGTERM)"
    assert run("pass", f"try:\n    {terminate}\nfinally:\n    {terminate}").returncode == -signal.SIGTERM


def test_the_clean_up_goes_on_when_the_kernel_repeats_that_time_is_up(run: Run) -> None:
    out_of_time = "os.kill(os.getpid(), signal.SIGXCPU)"
    done = run("pass", f"try:\n    {out_of_time}\nfinally:\n    {out_of_time}")
    assert done.returncode == 152
    assert done.stderr.startswith("a-command: stopped by SIGXCPU; ")


AT_THE_END = """
import os, signal
from ro32.cli import signals
ignore = signals.ignore
def interrupted():
    signals.ignore = ignore
    os.kill(os.getpid(), signal.SIGTERM)
    sum(range(1000))  # the handler runs here
signals.ignore = interrupted
"""


def test_a_signal_after_the_end_is_no_crash(python: Path) -> None:
    program = AT_THE_END + FRAME.format(in_destructor=" " * 8 + "pass", in_library=" " * 4 + "pass")
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=15, check=False)
    assert (done.returncode, done.stdout) == (143, "published\n")
    assert done.stderr.startswith("a-command: stopped by SIGTERM; ")


IN_A_LOCK = """
import os, signal, sys, threading
from ro32.cli.score import main
at, enter, entered = int(sys.argv.pop(1)), threading.Condition.__enter__, 0

def struck(lock):
    global entered
    taken = enter(lock)
    if threading.get_ident() == threading.main_thread().ident:
        entered += 1
        if entered == at:
            os.kill(os.getpid(), signal.SIGTERM)
    return taken

threading.Condition.__enter__ = struck
main()
"""


@pytest.mark.parametrize("at", [2, 4, 6])
def test_a_signal_leaves_no_lock_of_a_thread_locked(python: Path, at: int, tmp_path: Path, tiny_bundle: Path) -> None:
    """Python takes these locks when a thread starts, and when its result is waited for."""
    pl.DataFrame({"id": ["a"], "title": ["Robots"], "abstract": ["We plan grasps"]}).write_parquet(
        tmp_path / "a.parquet"
    )
    options = [str(tmp_path / "a.parquet"), "-o", str(tmp_path / "labels.parquet"), "--bundle", str(tiny_bundle)]
    done = subprocess.run(
        [python, "-c", IN_A_LOCK, str(at), *options], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 143 or (at > 2 and done.returncode == 0)  # the faster the threads, the fewer locks
    assert ("stopped by SIGTERM" in done.stderr) == (done.returncode == 143)


SWALLOWED = """
import os, signal, sys
import ro32.run.{module} as module
from ro32.cli.score import main

class Held:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(1000))  # the handler runs here

real = module.{name}

def swallow(*args, **options):
    Held()
    return real(*args, **options)

module.{name} = swallow
sys.argv[1:] = {args!r}
main()
"""


@pytest.mark.parametrize(("module", "name", "finished"), [("walk", "prepare", 0), ("commit", "read_ids", 4)])
def test_a_run_whose_signal_is_swallowed_publishes_nothing(
    python: Path, module: str, name: str, finished: int, tmp_path: Path, papers_path: Path, tiny_bundle: Path
) -> None:
    labels, papers = tmp_path / "labels.parquet", tmp_path / "papers.parquet"
    pl.read_parquet(papers_path).head(80).write_parquet(papers)
    args = [str(papers), "-o", str(labels), "--bundle", str(tiny_bundle), "--part-rows", "20"]
    program = SWALLOWED.format(module=module, name=name, args=args)
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 143, done.stderr
    assert "stopped by SIGTERM" in done.stderr
    assert not labels.exists()
    assert len(list(tmp_path.glob(".labels.parquet.parts/*/*.parquet"))) == finished
