"""Turns a signal into a request that the loop answers between two steps, when the state is consistent."""

import signal
import threading
from contextlib import ExitStack
from types import FrameType
from typing import Self

from ro32.errors import Interrupted


class StopRequest(ExitStack):
    """Catches SIGHUP, SIGINT and SIGTERM while it is entered. A second signal ends the process at once.

    A signal that the process was started to ignore stays ignored.
    """

    signal_number = 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set a handler
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self.callback(signal.signal, number, signal.signal(number, self._note))
        return self

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def obey(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self:
            raise Interrupted(self.signal_number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        signal.signal(number, signal.SIG_DFL)
