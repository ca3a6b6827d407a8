"""Turns a signal into a request that the loop answers between two steps, when the state is consistent."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from ro32.errors import Interrupted

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class StopRequest:
    """Catches SIGHUP, SIGINT and SIGTERM while it is entered. A second signal ends the process at once.

    A signal that the process was started to ignore stays ignored.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set a handler
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def obey(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self.signal_number:
            raise Interrupted(self.signal_number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        signal.signal(number, signal.SIG_DFL)
