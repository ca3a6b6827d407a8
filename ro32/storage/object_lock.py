"""One run at a time for each target in a store: an object that its holder renews, and that otherwise expires.

Stores have no locks. This one only saves two runs from doing the same work. It is the conditional write of the labels
that keeps one run from overwriting what the other published.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ro32.errors import Ro32Error, TryAgainError
from ro32.storage import strict_json
from ro32.storage.client import ConflictError
from ro32.storage.object_target import ObjectTarget
from ro32.storage.store import Version

LEASE_S = 180.0
"""How long a lock is good after it was renewed. The clocks of hosts may differ by less than this minus `RENEW_S`."""
RENEW_S = 45.0
_HASTE_S = 1.0
"""How long the end of a run waits for its lock to be removed: a signal may have ended it."""

_held: set[str] = set()
"""Tokens of the locks that this process holds. One that it let go of, and could not remove, is not among them."""


@contextmanager
def only_run(target: ObjectTarget) -> Iterator[None]:
    """Hold the lock of a target.

    Raises:
        TryAgainError: Another run holds it, which is named; or labels were published since the target was looked at.
    """
    lock = _Lock(target)
    lock.acquire()
    try:
        threading.Thread(target=lock.keep, name="ro32-lock", daemon=True).start()
        target.check_unchanged()
        yield
    finally:
        lock.release()


def holder(target: ObjectTarget) -> str | None:
    """Describe the run that is writing a target; None if there is none."""
    _, record = _Lock(target).look()
    return describe(record) if record is not None and _is_alive(record) else None


def signature() -> dict[str, Any]:
    """Return what a lock says of its holder: host, process id and the time in UTC."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": since}


def describe(record: Any) -> str:  # noqa: ANN401 - what a file or object that may be no lock holds
    """Name the holder of a lock, by its signature."""
    try:
        return f"process {record['pid']} on {record['host']}, started {record['since']},"
    except (KeyError, TypeError):
        return "another run"


class _Lock:
    """The lock object of the labels at a target."""

    def __init__(self, target: ObjectTarget) -> None:
        self._target, self._store = target, target.store
        self._key = target.beside(f".{target.name}.lock")
        self._version: Version | None = None
        self._over = threading.Event()
        self._renewing = threading.Lock()
        self._token = secrets.token_hex(8)
        process = {"kernel": _kernel(), "process_start": _process_start(os.getpid()), "token": self._token}
        self._record = signature() | process

    def acquire(self) -> None:
        """Take the lock, or that of a run that is dead."""
        found, record = self.look()
        if record is not None and _is_alive(record):
            raise TryAgainError(f"{self._target}: {describe(record)} is writing it; wait until it ends")
        try:
            self._version = self._store.write(self._key, self._content(), over=found)
            _held.add(self._token)
        except ConflictError as error:
            _, record = self.look()
            raise TryAgainError(f"{self._target}: {describe(record)} is writing it; wait until it ends") from error

    def look(self) -> tuple[Version | None, dict[str, Any] | None]:
        """Return the lock's present version and what it says; None and None if there is none."""
        version = self._store.look(self._key)
        if version is None:
            return None, None
        try:
            record = strict_json.parse(self._store.read(self._key, version, 0, version.size)) if version.size else {}
        except TryAgainError:  # renewed or removed this moment
            return version, {"expires": time.time() + 1}
        except ValueError:
            record = {}
        return version, record if isinstance(record, dict) else {}

    def keep(self) -> None:
        """Renew the lock until it is released, or another run has taken it."""
        while not self._over.wait(RENEW_S):
            with self._renewing, suppress(Ro32Error):  # the next time, perhaps; else it runs out
                if self._over.is_set():
                    return
                try:
                    self._version = self._store.write(self._key, self._content(), over=self._version)
                except ConflictError:
                    self._version, record = self.look()
                    if record is None or record.get("token") != self._token:  # else an answer was lost
                        return

    def release(self) -> None:
        """Remove the lock, if that can be done at once; else it runs out."""
        self._over.set()
        _held.discard(self._token)
        removing = threading.Thread(target=self._remove, name="ro32-unlock", daemon=True)
        removing.start()
        removing.join(_HASTE_S)

    def _remove(self) -> None:
        with self._renewing, suppress(Ro32Error):
            _, record = self.look()
            if record is not None and record.get("token") == self._token:
                self._store.remove([self._key])

    def _content(self) -> bytes:
        return json.dumps(self._record | {"expires": time.time() + LEASE_S}).encode()


def _is_alive(record: dict[str, Any]) -> bool:
    """Return whether the run that signed a lock may still be at work."""
    try:
        if float(record["expires"]) <= time.time():
            return False
        if record.get("kernel") is None or record["kernel"] != _kernel():
            return True
        same = _process_start(int(record["pid"])) == record["process_start"]
        return same and (record["pid"] != os.getpid() or record["token"] in _held)
    except (KeyError, TypeError, ValueError):  # no lock of ours
        return False


def _kernel() -> str | None:
    """Return an identifier that processes with the same process ids share; None if it is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _process_start(pid: int) -> str | None:
    """Return when a process began, in ticks since the kernel did; None if there is none of that number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
