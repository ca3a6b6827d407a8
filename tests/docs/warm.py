"""A process that has imported PyTorch and the exporter, and forks: a command of theirs without ten seconds of start-up.

It only imports before it forks, so that no thread is there which a child would miss.

    python -m tests.docs.warm      reads a job a line from stdin, and writes the exit code of each to stdout
"""

import json
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
PRELOADED = (
    *("export.__main__", "export.views", "export.certify", "export.push"),
    *("ro32.cli.train", "ro32.cli.evaluate", "ro32.cli.linear", "ro32.train.run", "ro32.evaluation.checkpoint"),
)


class Warm:
    """The process, for a test.

    Args:
        variables: Its environment, which commands have too.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, words: Sequence[str], *, module: str, folder: Path, variables: Mapping[str, str]) -> tuple[int, str]:
        """Run a module's `main` as a program, and return its exit code and what it wrote.

        Args:
            words: The command line, the program's name first.
            module: Where that is.
            folder: Where it is run.
            variables: Its environment.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output = folder / ".output"
        job = {"words": words, "module": module, "folder": str(folder), "variables": dict(variables)}
        self._process.stdin.write(json.dumps(job | {"output": str(output)}) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return code, output.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def _become(job: dict[str, Any]) -> NoReturn:
    """Run a job in this child, and leave as an interpreter would."""
    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, standard)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["variables"])
    sys.path[:0] = os.environ["PYTHONPATH"].split(":")
    sys.argv = job["words"]
    code: object = None
    try:
        import_module(job["module"]).main()
    except SystemExit as request:
        code = request.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    """Run jobs until stdin ends."""
    for name in PRELOADED:
        import_module(name)
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # since Python 3.12 a fork beside other threads warns
            child = os.fork()
        if child == 0:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
