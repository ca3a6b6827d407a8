"""Stands in for the interpreter, beside the socket of a server of `tests.warm`. Needs no package."""

import json
import os
import signal
import socket
import sys


def inherited() -> list[int]:
    """Return the descriptors that this process was started with."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib would be a third of this program's time
        try:
            os.fstat(int(name))
        except OSError:  # the listing's own
            continue
        found.append(int(name))
    return sorted(found)


def main() -> None:
    """Have the server run the words, and end as they end."""
    descriptors = inherited()
    folder = os.open(".", os.O_PATH)  # it may have no name any more
    job = {
        "words": sys.argv[1:],
        "variables": dict(os.environ),
        "umask": os.umask(0),
        "descriptors": descriptors,
    }
    server = socket.socket(socket.AF_UNIX)
    beside = os.open(os.path.dirname(sys.argv[0]), os.O_PATH)  # noqa: PTH120 - as above
    server.connect(f"/proc/self/fd/{beside}/socket")  # an address has at most 107 characters
    text = json.dumps(job).encode() + b"\n"
    sent = socket.send_fds(server, [text], [folder, *descriptors])
    if sent < len(text):  # an empty rest is a call all the same, and fails once the child has ended
        server.sendall(text[sent:])
    answers = server.makefile()
    child = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
