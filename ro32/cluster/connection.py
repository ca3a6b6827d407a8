"""The connection to a cluster, opened and closed without side effects in this process."""

import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast

import ray

from ro32.errors import ClusterError, one_line

_CONNECT_S = 10.0
"""How long the head may take to accept a connection."""


class _OwnStdout:
    """The stream that is stdout, but not for threads of Ray, which report every death in the cluster there.

    Ray has no switch for that (`listen_error_messages` in ray/_private/worker.py, Ray 2.60). What matters of it is in
    warnings of ours, all of it in Ray's own log files; stdout holds nothing that was not asked for.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a stream has
        return getattr(self._stream, name)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster by its head's address, unless this process is connected already.

    By default it is the one that Ray finds: by RAY_ADDRESS, on this machine, or else a new one on this machine.

    Raises:
        ClusterError: It cannot be reached.
    """
    if ray.is_initialized():
        yield
        return
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if in_main else {}
    place = address or os.environ.get("RAY_ADDRESS", "")
    try:
        host, _, port = place.rpartition(":")
        if port.isdigit() and "/" not in host:  # Ray 2.60 itself waits for minutes, and takes no signal meanwhile
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
        ray.init(address=address, namespace="ro32", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises bare ones
        raise ClusterError(
            f"Ray at {place or 'its default address'} cannot be reached: {one_line(error)}; start the "
            "cluster, name another with --ray-address, or set RAY_AUTH_MODE=token if it asks for one"
        ) from error
    finally:
        for number, handler in handlers.items():  # ray.init takes SIGTERM for itself
            signal.signal(number, handler)
    with redirect_stdout(cast("TextIO", _OwnStdout(sys.stdout))):
        try:
            yield
        finally:
            with redirect_stdout(io.StringIO()):  # what Ray's threads held back, it tells here
                ray.shutdown()
