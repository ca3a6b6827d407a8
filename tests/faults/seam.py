"""The seam where faults are injected: the kernel's own, between a process and its system calls.

A seccomp filter stops each call that touches files and asks a supervisor (seccomp_unotify(2), Linux 5.5 and newer): to
be carried out, to fail with an error number, or never to return, because the process is killed first. So whatever
makes the call meets the fault, Python or a library that writes on its own, and it takes no privilege, no compiler and
no package.
"""

import ctypes
import fcntl
import os
import platform
import select
import signal
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.syscalls import CHANGING, MACHINES, SUPPORTED, Call, Syscall


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, and when.

    Attributes:
        at: Position, from 1, of the call among those seen.
        error: Number of the error that the call returns instead of being carried out.
        signal: Signal that the process gets before the call is carried out.
        for_good: Every later call that changes a file fails alike, as on a disk that is full or broken.
    """

    at: int
    error: int | None = None
    signal: int | None = None
    for_good: bool = False


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install(numbers: Iterable[int]) -> int:
    """Let a supervisor decide about system calls of this process, from now on and for good.

    Args:
        numbers: Of the system calls.

    Returns:
        The supervisor's end: a file descriptor.

    Raises:
        OSError: The kernel does not allow it.
    """
    _, machine, seccomp = MACHINES[platform.machine()]
    asked = sorted(numbers)
    load, jump_if_equal, answer = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    allow, notify = 0x7FFF0000, 0x7FC00000  # SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF
    program = [(load, 0, 0, 4), (jump_if_equal, 1, 0, machine), (answer, 0, 0, allow), (load, 0, 0, 0)]
    program += [(jump_if_equal, len(asked) - at, 0, number) for at, number in enumerate(asked)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, notify)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, set_filter, new_listener = 38, 1, 8
    libc.prctl(set_no_new_privileges, 1, 0, 0, 0)
    descriptor: int = libc.syscall(
        seccomp, set_filter, new_listener, ctypes.byref(_Program(len(program), ctypes.addressof(code)))
    )
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


_RECEIVE, _SEND = 0xC0502100, 0xC0182101
"""ioctl requests: a notification of 80 bytes from the kernel, an answer of 24 bytes to it."""
_CARRY_OUT = 1
_PAGE_BYTES = 4096
_CWD = -100


@dataclass(kw_only=True)
class Supervisor:
    """Watches the calls of one process that are about files in some folders, and lets one fail.

    Attributes:
        process: Its number.
        calls: System calls by number.
        folders: Folders of interest, as absolute paths without links; all other calls are carried out.
        fault: What goes wrong at a call, if anything.
        signal: What the process gets at a time, if anything.
        seen: The calls so far, in order.
    """

    process: int
    calls: Mapping[int, Syscall]
    folders: Sequence[str]
    fault: Fault | None = None
    signal: int | None = None
    seen: list[Call] = field(default_factory=list)

    def watch(self, listener: int | None, limit: float, signal_at: float) -> bool:
        """Supervise until the process ends.

        Args:
            listener: What `install` returned in the process; closed by this. None if no calls are watched.
            limit: When it is killed, by time.monotonic().
            signal_at: When it gets `signal`, if there is one.

        Returns:
            Whether it ended before the limit.
        """
        ended = os.pidfd_open(self.process)
        poll = select.poll()
        for descriptor in (ended,) if listener is None else (ended, listener):
            poll.register(descriptor, select.POLLIN)
        due = self.signal
        try:
            while True:
                wait_until = limit if due is None else signal_at
                events = dict(poll.poll(max(0.0, wait_until - time.monotonic()) * 1000))
                if listener is not None and (event := events.get(listener)):
                    if event & select.POLLIN:
                        self._decide(listener)
                    else:  # the last thread that could make a call is gone
                        poll.unregister(listener)
                elif ended in events:
                    return True
                elif due is not None:
                    os.kill(self.process, due)
                    due = None
                else:
                    os.kill(self.process, signal.SIGKILL)
                    return False
        finally:
            os.close(ended)
            if listener is not None:
                os.close(listener)

    def _decide(self, listener: int) -> None:
        notification = bytearray(80)
        with suppress(FileNotFoundError):  # a signal ended the call, or the process, before we answered
            fcntl.ioctl(listener, _RECEIVE, notification)
            key, _, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", notification)
            error = self._verdict(self.calls[number], arguments)
            if error is not None:
                fcntl.ioctl(listener, _SEND, struct.pack("QqiI", key, 0, -error, 0 if error else _CARRY_OUT))

    def _verdict(self, syscall: Syscall, arguments: Sequence[int]) -> int | None:
        """Return the error number that a call gets, 0 to carry it out, None if nobody waits for it any more."""
        paths = tuple(self._path(arguments, *place) for place in syscall.files)
        if not any(path == folder or path.startswith(folder + "/") for path in paths for folder in self.folders):
            return 0
        self.seen.append(Call(syscall.name, paths))
        fault = self.fault
        if fault is None or len(self.seen) < fault.at:
            return 0
        if len(self.seen) > fault.at:
            return fault.error if fault.for_good and syscall in CHANGING.values() else 0
        if fault.signal is not None:
            os.kill(self.process, fault.signal)
            return None if fault.signal == signal.SIGKILL else 0
        return fault.error

    def _path(self, arguments: Sequence[int], descriptor: int | None, path: int | None) -> str:
        name = "" if path is None else self._string(arguments[path])
        if name.startswith("/"):
            return os.path.normpath(name)
        at = _CWD if descriptor is None else ctypes.c_int(arguments[descriptor]).value
        link = Path(f"/proc/{self.process}", "cwd" if at == _CWD else f"fd/{at}")
        try:
            return str(link.readlink() / name)
        except OSError:  # no such descriptor: the call will say so itself
            return ""

    def _string(self, address: int) -> str:
        """Read a zero-terminated string from the memory of the process."""
        text = b""
        with Path(f"/proc/{self.process}/mem").open("rb", buffering=0) as memory, suppress(OSError):
            while address and b"\0" not in text:
                memory.seek(address + len(text))
                text += memory.read(_PAGE_BYTES - (address + len(text)) % _PAGE_BYTES)
        return os.fsdecode(text.partition(b"\0")[0])


def why_not() -> str | None:
    """Tell why faults cannot be injected here; None where they can. Tries it in a child of this process."""
    if not SUPPORTED:
        return f"faults are injected on Linux on {' or '.join(MACHINES)}, not on {platform.system()}"
    looked_at, look = os.pipe()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            install(())
        except OSError as error:
            code = error.errno or 1
        os.read(looked_at, 1)
        os._exit(code)
    try:
        Path(f"/proc/{child}/mem").open("rb").close()
        reason = None
    except OSError as error:
        reason = f"the kernel shows nothing of a child's memory: {error.strerror}"
    os.write(look, b"!")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(looked_at)
    os.close(look)
    return f"the kernel allows no seccomp listener: {os.strerror(code)}" if code else reason
