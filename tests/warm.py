"""A Python that has done its imports: programs start in it within a tenth of the processor time of a fresh one.

A server imports modules and then waits. `Warm.python` is a program that stands in for the interpreter, in a shell too:
it hands its words, folder, variables and descriptors to the server, which forks a child that becomes the program. The
child is a process of its own, with its own exit code and signals. What it does not show is how a fresh interpreter
starts, how C++ libraries end, and what limits do; tests of these use `sys.executable`.

The server only imports before it forks, so that no thread is there which a child would miss.

    python -m tests.warm MODULE...      serves at ./socket
"""

import atexit
import fcntl
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NoReturn, Self

ROOT = Path(__file__).parents[1]
CLIENT = Path(__file__).with_name("warm_client.py")
COMMANDS = (
    *("ro32.cli.score", "ro32.cli.evaluate", "ro32.cli.bundles"),
    *("pyarrow.compute", "numpy.ma", "ro32.evaluation.page.render", "prometheus_client", "pyarrow.csv"),
)
"""The commands of a scoring host, and what they import late."""
OUT_OF_THE_WAY = 512
"""Larger than the descriptors that a shell gives."""


class Warm:
    """The server, for tests. Used as a context manager.

    Args:
        folder: An empty folder.
        modules: What it imports.
        variables: Environment while it imports; by default this process's.

    Attributes:
        python: The program that stands in for the interpreter; it knows `-m MODULE` and `-c CODE`.
    """

    def __init__(
        self, folder: Path, modules: Sequence[str] = COMMANDS, variables: Mapping[str, str] | None = None
    ) -> None:
        self.python = folder / "python"
        self.python.write_text(f"#!{sys.executable} -IS\n{CLIENT.read_text(encoding='utf-8')}", encoding="utf-8")
        self.python.chmod(0o755)
        inherited = dict(os.environ if variables is None else variables)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", *modules],
            cwd=folder,
            env=inherited | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt at the terminal is for pytest alone
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n", "the server of warm processes did not start"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()  # the end of its stdin is the end of its work


def serve(listener: socket.socket) -> None:
    """Fork a child for each client, and give each client its exit code, until stdin ends."""
    waiting = selectors.DefaultSelector()
    waiting.register(sys.stdin, selectors.EVENT_READ)
    waiting.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                start(listener, waiting)
                continue
            child, client = key.data
            if key.fileobj is client:
                if client in waiting.get_map():  # it was killed, and its child has not just ended
                    waiting.unregister(client)
                    os.kill(child, signal.SIGKILL)
                continue
            _, status = os.waitpid(child, 0)
            waiting.unregister(key.fileobj)
            os.close(key.fd)
            if client in waiting.get_map():
                waiting.unregister(client)
                tell(client, os.waitstatus_to_exitcode(status))
            client.close()


def tell(client: socket.socket, number: int) -> None:
    """Send a client a number, unless it was killed."""
    with suppress(OSError):
        client.sendall(f"{number}\n".encode())


def start(listener: socket.socket, waiting: selectors.BaseSelector) -> None:
    """Take a client's job, and fork the child that does it."""
    client, _ = listener.accept()
    text, descriptors, _, _ = socket.recv_fds(client, 1 << 16, 64)
    while not text.endswith(b"\n"):
        if not (more := client.recv(1 << 16)):
            break  # it was killed
        text += more
    if not text.endswith(b"\n"):
        for descriptor in (*descriptors, client.detach()):
            os.close(descriptor)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # since Python 3.12 a fork beside other threads warns
        child = os.fork()
    if child == 0:
        listener.close()
        client.close()
        end(become(json.loads(text), descriptors))
    for descriptor in descriptors:
        os.close(descriptor)
    tell(client, child)
    process = os.pidfd_open(child)
    waiting.register(process, selectors.EVENT_READ, (child, client))
    waiting.register(client, selectors.EVENT_READ, (child, client))


def become(job: dict[str, Any], sent: Sequence[int]) -> Callable[[], object]:
    """Turn this child into a client's process, and return its main program.

    Args:
        job: The client's words, variables, umask, and the numbers of its descriptors.
        sent: Its folder, and these descriptors.
    """
    folder, *descriptors = (fcntl.fcntl(descriptor, fcntl.F_DUPFD, OUT_OF_THE_WAY) for descriptor in sent)
    os.fchdir(folder)
    os.closerange(0, OUT_OF_THE_WAY)
    for number, descriptor in zip(job["descriptors"], descriptors, strict=True):
        os.dup2(descriptor, number)
        os.set_inheritable(number, True)  # noqa: FBT003 - the standard library's signature
    os.closerange(OUT_OF_THE_WAY, max(descriptors, default=folder) + 1)
    for standard, (name, mode, errors) in enumerate(
        (("stdin", "r", "strict"), ("stdout", "w", "strict"), ("stderr", "w", "backslashreplace"))
    ):
        there = standard in job["descriptors"]
        buffering = 1 if standard == 2 or (there and os.isatty(standard)) else -1
        stream = open(standard, mode, buffering, "utf-8", errors, closefd=False) if there else None  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.umask(job["umask"])
    os.environ.clear()
    os.environ.update(job["variables"])
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    how, what, *words = job["words"]
    if how == "-c":
        main = ModuleType("__main__")
        sys.modules["__main__"], sys.argv = main, ["-c", *words]
        return lambda: exec(compile(what, "<string>", "exec"), main.__dict__)  # noqa: S102 - as the interpreter does
    assert how == "-m", how
    module = import_module(what)
    if hasattr(module, "__path__"):  # a package
        module = import_module(f"{what}.__main__")
    sys.argv = [str(module.__file__), *words]
    if not hasattr(module, "main"):
        return partial(import_module("ro32.cli.process").run, module.command)
    main_of_module: Callable[[], object] = module.main
    return main_of_module


def end(main: Callable[[], object]) -> NoReturn:
    """Run a main program and leave the process as the interpreter does: join threads, call exit functions.

    Only the C library's exit functions are left out: one of onnxruntime's joins a thread that its import started, and
    no thread but the caller's survives a fork.
    """
    code: object = None
    try:
        main()
    except SystemExit as request:
        code = request.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # so that what a destructor complains of is seen
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who started the process
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    """Import the modules of the command line, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a child gets before it installs its handlers ends it
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen(64)
        for name in sys.argv[1:]:
            import_module(name)
        gc.freeze()  # what is never looked through stays one copy for all children
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        serve(listener)


if __name__ == "__main__":
    main()
