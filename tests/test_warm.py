"""A program that `tests.warm` starts is what the interpreter starts; else tests that use it would prove little."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, stat, sys
shown = [sys.argv, os.getcwd(), os.environ["NAME"], oct(os.umask(0)), sys.stdin and sys.stdin.read()]
shown += [signal.getsignal(number) == signal.default_int_handler for number in (signal.SIGINT, signal.SIGTERM)]
shown += [os.isatty(1), sys.stdout.encoding, sys.stderr and sys.stderr.line_buffering, os.read(7, 5)]
print(shown)
sys.exit(3)
"""


def ends(python: str | Path, line: str, folder: Path) -> tuple[int, str, str]:
    """Run a line of shell in which $0 is an interpreter and $1 the program."""
    command = ["bash", "-c", line, str(python), PROGRAM]
    environment = {"NAME": "na\u00efve", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, umask=0o27, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "line",
    [
        'echo in | "$0" -c "$1" a "b c" 7< <(echo seven)',
        '"$0" -c "$1" <&- 2>&- 7< <(echo seven)',
        '"$0" -c "import os; os.kill(os.getpid(), 15)"; echo $?',
        'exec "$0" -c "raise SystemExit"',
        '"$0" -c "import sys; sys.exit(\'words\')"; echo $?',
    ],
)
def test_it_starts_and_ends_as_the_interpreter_does(line: str, python: Path, tmp_path: Path) -> None:
    found, expected = (ends(program, line, tmp_path) for program in (python, sys.executable))
    assert found == expected


def test_a_signal_is_passed_on(python: Path) -> None:
    program = "import sys, time; print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([python, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM


def test_the_child_of_a_killed_client_is_killed(python: Path) -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen([python, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        assert process.stdout.read() == ""  # the child held it too
