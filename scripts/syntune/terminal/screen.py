"""Lines on a stream, and how far the work is: on a terminal a last line that changes, elsewhere a line a minute."""

import shutil
import threading
import time
from collections.abc import Callable, Iterable
from typing import TextIO

_CLEAR = "\r\x1b[K"

_BETWEEN = 60
"""Seconds between two lines that say how far the work is, where there is no terminal."""


class Screen:
    """Writes lines and, below them or between them, what ``status`` says by now.

    ``status`` is called under ``lock``, by a thread of its own, too.
    """

    def __init__(self, stream: TextIO, status: Callable[[], str], lock: threading.RLock):
        self.is_terminal = stream.isatty()
        self._stream, self._status = stream, status
        self._lock, self._end = lock, threading.Event()

    def say(self, lines: Iterable[str]) -> None:
        """Write lines above the status."""
        with self._lock:
            text = "".join(f"{line}\n" for line in lines)
            self._stream.write(f"{_CLEAR}{text}{self._shown()}" if self.is_terminal else text)
            self._stream.flush()

    def start(self) -> None:
        """Keep the status up to date from now on."""
        threading.Thread(target=self._tick, daemon=True).start()

    def stop(self) -> None:
        """Show no status any more."""
        self._end.set()
        self.say([])

    def _tick(self) -> None:
        while not self._end.wait(1 if self.is_terminal else _BETWEEN):
            self.say([] if self.is_terminal else [f"{time.strftime('%H:%M:%S')}  {self._status()}"])

    def _shown(self) -> str:
        """The status, cut to the terminal's width."""
        return "" if self._end.is_set() else self._status()[: shutil.get_terminal_size().columns - 1]
