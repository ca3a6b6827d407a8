"""A proxy between client and store that breaks requests on demand."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Fault(Enum):
    """What goes wrong with a request."""

    BUSY = auto()
    """The store answers 503, and does nothing."""
    NOT_IMPLEMENTED = auto()
    """The store answers 501, as one does that knows no conditional writes."""
    FORBIDDEN = auto()
    """The store answers 403, and does nothing."""
    REDIRECTED = auto()
    """The store answers 301 without an address, as Amazon's does where the region is another one."""
    DROPPED = auto()
    """The request does not reach the store, and the connection ends."""
    UNANSWERED = auto()
    """The store does what it is asked, but the answer is lost."""
    CUT_REQUEST = auto()
    """The connection ends in the middle of the request's body."""
    CUT_ANSWER = auto()
    """The connection ends in the middle of the answer's body."""
    LATE = auto()
    """The answer comes after a time."""


@dataclass(kw_only=True)
class Request:
    """A request as the proxy saw it.

    Attributes:
        number: Of all so far, from 0.
        method: In capitals.
        path: With query, and encoded.
        answered_bytes: Of the body that was sent back.
    """

    number: int
    method: str
    path: str
    answered_bytes: int = 0


class Answer(NamedTuple):
    """What a store said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


_ANSWERS = {
    Fault.BUSY: Answer(503, [], b""),
    Fault.NOT_IMPLEMENTED: Answer(501, [], b"<?xml version='1.0'?><Error><Code>NotImplemented</Code></Error>"),
    Fault.FORBIDDEN: Answer(403, [], b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"),
    Fault.REDIRECTED: Answer(301, [], b""),
}
_OF_THE_CONNECTION = {"connection", "transfer-encoding", "date", "server"}


class Proxy:
    """Forwards to a store.

    Attributes:
        store: Where to.
        url: Where it listens.
        requests: Those it saw.
        fault: Tells which fault befalls a request, if any.
        delay_s: How late an answer is.
    """

    def __init__(self, store: str) -> None:
        self.store = urlsplit(store)
        self.url = ""
        self.requests: list[Request] = []
        self.fault: Callable[[Request], Fault | None] = lambda _: None
        self.delay_s = 5.0
        self._noting = threading.Lock()

    def note(self, method: str, path: str) -> Request:
        """Note a request that came in."""
        with self._noting:
            self.requests.append(Request(number=len(self.requests), method=method, path=path))
            return self.requests[-1]

    def forward(self, method: str, path: str, headers: Message, body: bytes, *, cut: bool) -> Answer | None:
        """Do what was asked for; None where the connection ended in the middle of it."""
        to_store = http.client.HTTPConnection(self.store.hostname or "", self.store.port)
        try:
            to_store.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                to_store.putheader(name, value)
            to_store.endheaders()
            to_store.send(body[: len(body) // 2] if cut else body)
            if cut:
                return None
            answer = to_store.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_THE_CONNECTION]
            return Answer(answer.status, kept, answer.read())
        finally:
            to_store.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        request = self.proxy.note(self.command, self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.fault(request)
        if fault in _ANSWERS:
            self._send(_ANSWERS[fault])
        elif fault is not Fault.DROPPED:
            cut = fault is Fault.CUT_REQUEST
            answer = self.proxy.forward(self.command, self.path, self.headers, body, cut=cut)
            if fault is Fault.LATE:
                time.sleep(self.proxy.delay_s)
            if answer is not None and fault is not Fault.UNANSWERED:
                request.answered_bytes = len(answer.body)
                self._send(answer, cut=fault is Fault.CUT_ANSWER)
        if fault not in {None, *_ANSWERS}:
            self.close_connection = True

    def _send(self, answer: Answer, *, cut: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name, _ in answer.headers}:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        with suppress(OSError):  # nobody waits any more
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - as http.server calls them


@contextmanager
def proxy_of(store: str) -> Iterator[Proxy]:
    """Run a proxy."""
    proxy = Proxy(store)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def failing_from(number: int, fault: Fault) -> Callable[[Request], Fault | None]:
    """Return what lets a request and all after it fail."""
    return lambda request: fault if request.number >= number else None


class FailingOnce:
    """Lets the first write fail of those whose path is meant.

    Args:
        fault: How.
        meant: Decides by a request's path.
    """

    def __init__(self, fault: Fault, meant: Callable[[str], bool]) -> None:
        self.failed: Request | None = None
        self._fault, self._meant = fault, meant

    def __call__(self, request: Request) -> Fault | None:
        """Tell what is to happen to a request."""
        if request.method != "PUT" or not self._meant(request.path) or self.failed:
            return None
        self.failed = request
        return self._fault
