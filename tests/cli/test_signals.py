"""A signal ends a command wherever it comes: in a destructor and in a library's own clean-up, too."""

import signal
import subprocess
import sys
from textwrap import indent

import pytest

FRAME = """
import os, signal, time
import click
from ro32.cli.process import run

class Held:
    def __del__(self):
{in_destructor}

def library():
{in_library}

@click.command("a-command")
def command():
    held = Held()
    del held
    library()
    time.sleep(20)

run(command)
"""
SIGNAL = "os.kill(os.getpid(), signal.{name}); time.sleep(1)"


def run(in_destructor: str, in_library: str) -> subprocess.CompletedProcess[str]:
    """Run a command that lets go of an object and calls a library."""
    program = FRAME.format(in_destructor=indent(in_destructor, " " * 8), in_library=indent(in_library, " " * 4))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_that_a_destructor_swallows_is_sent_again(name: str, code: int) -> None:
    done = run(SIGNAL.format(name=name), "pass")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"a-command: stopped by {name}; ")
    assert done.stderr.count("\n") == 1


def test_what_fails_after_a_signal_failed_by_it() -> None:
    done = run(SIGNAL.format(name="SIGTERM"), "raise ValueError('a thread panicked')")
    assert done.returncode == 143
    assert done.stderr.startswith("a-command: stopped by SIGTERM; ")
    assert done.stderr.count("\n") == 1


def test_what_a_destructor_raises_itself_is_told_as_ever() -> None:
    done = run("raise ValueError('not closed')", "raise SystemExit(0)")
    assert done.returncode == 0
    assert "Exception ignored" in done.stderr
    assert "ValueError: not closed" in done.stderr


def test_a_second_signal_ends_a_command_that_cleans_up_for_too_long() -> None:
    terminate = "os.kill(os.getpid(), signal.SIGTERM)"
    assert run("pass", f"try:\n    {terminate}\nfinally:\n    {terminate}").returncode == -signal.SIGTERM
