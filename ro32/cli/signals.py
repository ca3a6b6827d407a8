"""SIGINT and SIGTERM, turned into an interruption that no library on its way can keep to itself."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from ro32.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM)
SENT_AGAIN_AFTER_S = 0.05

_asked: Interrupted | None = None


def asked() -> Interrupted | None:
    """Return what a signal asked of this process; None if none came."""
    return _asked


def listen() -> None:
    """From now on let SIGINT and SIGTERM raise `Interrupted` in the main thread, wherever it is.

    Where it is may be a destructor, or a callback of compiled code: from there Python passes no exception on. One
    that was stopped in this way is sent again, when the destructor is done.
    """
    sys.unraisablehook = _send_again
    for number in STOPPING:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on let signals pass: nothing is left to stop."""
    for number in (*STOPPING, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    global _asked  # noqa: PLW0603 - of the process, as signals are
    signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once
    _asked = Interrupted(number)
    raise _asked


def _send_again(unraisable: "sys.UnraisableHookArgs") -> None:
    lost = unraisable.exc_value
    if not isinstance(lost, Interrupted):
        sys.__unraisablehook__(unraisable)
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise lost

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, SENT_AGAIN_AFTER_S)
