"""Signals that stop a command: raise an interruption in the main thread, and remember it in case it is discarded."""

import signal
import sys
from types import FrameType

from ro32 import errors
from ro32.errors import Interrupted

STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGXCPU)


def listen() -> None:
    """From now on let the signals of `STOPPING` raise `Interrupted` in the main thread, wherever it is.

    Python drops exceptions that are raised in a destructor or in a callback of compiled code. In that case
    `ro32.errors.check_interrupted` raises it later. A signal that the process was started to ignore stays ignored.
    """
    errors.note_interruption(None)
    sys.unraisablehook = _report_unless_interrupted
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells without job control ask for
            signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on let signals pass: nothing is left to stop."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # A second signal ends the process at once. But the kernel repeats SIGXCPU (ulimit -St) each second.
    signal.signal(number, signal.SIG_IGN if number == signal.SIGXCPU else signal.SIG_DFL)
    errors.note_interruption(Interrupted(number))
    errors.check_interrupted()


def _report_unless_interrupted(unraisable: "sys.UnraisableHookArgs") -> None:
    if not isinstance(unraisable.exc_value, Interrupted):
        sys.__unraisablehook__(unraisable)
