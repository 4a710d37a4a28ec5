"""Progress: a bar in a terminal, a line now and then in a log."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

SECONDS = 15
"""Between two lines of a log."""


class Progress:
    """Counts towards a total; a context manager."""

    def __init__(self, name: str, total: int, unit: str) -> None:
        """``name`` begins each line, ``unit`` is what is counted, in the plural."""
        self._name, self._unit = name, f" {unit}"
        self._bar = tqdm(total=total, desc=name, unit=self._unit, disable=not sys.stderr.isatty())
        self._total, self._done = total, 0
        self._start = self._said = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()

    def add(self, count: int) -> None:
        """``count`` more are done."""
        self._bar.update(count)
        self._done += count
        now = time.monotonic()
        if self._bar.disable and (now - self._said >= SECONDS or self._done == self._total):
            self._said = now
            line = tqdm.format_meter(
                self._done, self._total, now - self._start, prefix=self._name, unit=self._unit,
                bar_format="{desc}: {n_fmt}/{total_fmt}, {rate_fmt}, {elapsed} gone, {remaining} left",
            )  # fmt: skip
            print(line, file=sys.stderr, flush=True)
