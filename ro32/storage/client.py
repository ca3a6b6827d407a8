"""Requests to an object store: with timeouts, retries and interruption by signals.

Requests run on an event loop in a thread of its own, so that the thread that waits for one can take a signal meanwhile.
"""

import atexit
import logging
import os
import random
import re
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ro32.errors import InputDataError, ReadWriteError, Ro32Error, UsageError
from ro32.storage.failures import VARIABLES, ShortAnswerError, first_line, refusal
from ro32.storage.urls import BAD_NAMES, WEB, ObjectUrl, is_url, redact

if TYPE_CHECKING:
    import asyncio

    from obstore.store import ObjectStore

T = TypeVar("T")

TRIES = 6
"""Of one request."""
FIRST_PAUSE_S = 0.2
"""Before the second try; each further pause is about twice as long."""
TIMEOUT_S = 30.0
"""Of one try, besides the time that its bytes take."""
NEVER_S = 86_400.0
"""The timeout that the library gets; ours is `TIMEOUT_S`."""
_PARTING_S = 0.2
"""How long the end of the process waits for threads of the library: before Python 3.14 one that needs Python meanwhile
aborts the process (https://github.com/python/cpython/issues/87135)."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SENT = ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Variables of the environment that become a part of URLs and headers, as the endpoints do."""
_LISTED_BAD_NAME = "object with invalid path"
"""Part of obstore's error for a listing in which it does not accept one of the names."""

_log = logging.getLogger("ro32.storage")


class UnreachableError(ReadWriteError):
    """A store failed to answer, several times."""


class ConflictError(Exception):
    """A condition of a request does not hold: the object is there, is not there, or is another one."""


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """How stores are asked.

    Attributes:
        endpoint_url: Where s3:// names are looked for; by default where AWS_ENDPOINT_URL says, and else at Amazon.
        allow_http: Whether web addresses may be read.
    """

    endpoint_url: str | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        if self.endpoint_url is not None:
            _check_endpoint(self.endpoint_url)


def _check_endpoint(text: str) -> None:
    url = ObjectUrl.parse(text) if is_url(text) else None
    if url is None or url.scheme not in WEB or "@" in url.host or url.query:
        raise UsageError(f"expected an endpoint such as https://minio.example.org:9000, found {redact(text)!r}")


def open_client(url: ObjectUrl, settings: StoreSettings) -> "ObjectStore":
    """Return the library's client of a bucket, container or web host; the same one each time.

    Raises:
        UsageError: The package that asks stores is not installed, or web addresses are not allowed.
    """
    if url.scheme in WEB and not settings.allow_http:
        raise UsageError(f"{url}: web addresses need --allow-http; add it if you trust the server")
    if find_spec("obstore") is None:
        raise UsageError(f"{url}: stores need the package obstore; run: pip install 'ro32[cloud]'")
    return _client(url.scheme, url.host, url.query, _endpoint(settings) if url.scheme == "s3" else None)


def _endpoint(settings: StoreSettings) -> str | None:
    """Return the address of s3:// names, None for Amazon's; refuse what the library would panic at."""
    for name in (*_ENDPOINTS, *_SENT):
        if not re.fullmatch("[!-~]*", os.environ.get(name, "")):
            raise UsageError(f"{name} in the environment holds a space, a line break or a special letter; correct it")
    given = [settings.endpoint_url, *map(os.environ.get, _ENDPOINTS)]
    endpoint = next(filter(None, given), "" if "" in given else None)
    if endpoint is not None:
        _check_endpoint(endpoint)
    return endpoint


@cache
def _client(scheme: str, host: str, query: str, endpoint: str | None) -> "ObjectStore":
    # Imported here: no run over local files needs it, and a scoring host does without.
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import HTTPStore, S3Store, from_url  # noqa: PLC0415

    never = timedelta(seconds=NEVER_S)
    options: Any = {"timeout": never, "read_timeout": never, "connect_timeout": timedelta(seconds=5)}
    once: Any = {"max_retries": 0}  # tried again here, where it can be logged and interrupted
    try:
        if scheme in WEB:
            base = f"{scheme}://{host}/{'?' if query else ''}{query}"
            return HTTPStore(base, client_options=options | {"allow_http": scheme == "http"}, retry_config=once)
        if scheme != "s3":
            return from_url(f"{scheme}://{host}", client_options=options, retry_config=once)
        if endpoint:
            HTTPStore(endpoint)  # refuses what is no address; S3Store would panic at it, and only later
        return S3Store(
            host,
            config={"endpoint": endpoint} if endpoint else {},
            client_options=options | {"allow_http": (endpoint or "").lower().startswith("http://")},
            retry_config=once,
            credential_provider=_profile(),
        )
    except (BaseError, ValueError) as error:
        raise UsageError(f"{scheme}://{redact(host)}: cannot be accessed: {first_line(error)}; {VARIABLES}") from error


def _profile() -> Any:  # noqa: ANN401 - obstore's protocol, or None
    """Return a reader of AWS profiles, if there are any and boto3 is installed."""
    folder = Path(os.path.expanduser("~/.aws"))  # noqa: PTH111 - Path raises where a user has no home
    has_profiles = "AWS_PROFILE" in os.environ or any((folder / name).exists() for name in ("credentials", "config"))
    if "AWS_ACCESS_KEY_ID" in os.environ or not has_profiles or find_spec("boto3") is None:
        return None
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - needs boto3
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - as above

    try:
        return Boto3CredentialProvider()
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"{folder} has no credentials for AWS_PROFILE, or the default profile: {error}") from error


def ask(what: str, request: Callable[[], Awaitable[T]], *, refused: type[Ro32Error], more_s: float = 0) -> T:
    """Carry out a request, made again for each try; `what` is the object, as it is shown.

    A try may take `more_s` longer than `TIMEOUT_S`.

    Raises:
        UsageError: The object's name is none that the library asks for.
        InputDataError: A list of objects holds such a name.
        FileNotFoundError: There is no such object or bucket.
        ConflictError: A condition of the request does not hold.
        Ro32Error: `refused`: the store does not allow it, or does not understand it.
        UnreachableError: No try got an answer of use in time.
    """
    import asyncio  # noqa: PLC0415 - a twentieth of the start of a run, and of use with a store alone

    from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, PreconditionError  # noqa: PLC0415

    async def bounded() -> T:
        return await asyncio.wait_for(request(), TIMEOUT_S + more_s)

    for tried in range(1, TRIES + 1):
        running = asyncio.run_coroutine_threadsafe(bounded(), _loop())
        try:
            return running.result()
        except (AlreadyExistsError, NotModifiedError, PreconditionError) as error:
            raise ConflictError(first_line(error)) from error
        except ValueError as error:  # raised before anything is sent
            raise UsageError(f"{what}: cannot be requested: {first_line(error)}; {BAD_NAMES}; rename it") from error
        except (BaseError, TimeoutError, ShortAnswerError) as error:
            reason = first_line(error)
            if _LISTED_BAD_NAME in reason:
                raise InputDataError(
                    f"{what}: cannot be listed: {reason}; {BAD_NAMES}; rename or remove that object, or name the "
                    "others, or folders that do not hold it, one by one"
                ) from error
            if fault := refusal(error, last=tried == TRIES):
                raise refused(f"{what}: {fault}") from error
            if tried == TRIES:
                raise UnreachableError(
                    f"{what}: the store failed {tried} times, the last time: {reason}; check its address and the "
                    "network, and run again"
                ) from error
            pause = FIRST_PAUSE_S * 2 ** (tried - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads tries
            _log.info("%s: %s; try %d of %d in %.1f s", what, reason, tried + 1, TRIES, pause)
            time.sleep(pause)
        finally:
            running.cancel()  # where a signal ended the waiting
    raise AssertionError  # the last try returns or raises


async def each_in_time(answers: AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield what a request is answered with piece by piece, for each of which it may wait as long as for an answer."""
    import asyncio  # noqa: PLC0415 - as above

    pieces = aiter(answers)
    with suppress(StopAsyncIteration):
        while True:
            yield await asyncio.wait_for(anext(pieces), TIMEOUT_S)


@cache  # two threads that ask for the first time at once get two, which does no harm
def _loop() -> "asyncio.AbstractEventLoop":
    """Return the event loop, whose thread starts when it is first needed."""
    import asyncio  # noqa: PLC0415 - as above

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ro32-remote", daemon=True).start()
    atexit.register(time.sleep, _PARTING_S)
    return loop
