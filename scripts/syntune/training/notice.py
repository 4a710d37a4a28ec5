"""A notice that a job's time is up, which may come at any moment, long before a model is loaded too.

SIGTERM is what systems send, and SIGURG what the SLURM profile asks for some minutes before a job's time limit. All
processes of a job get it, and only those that ask for SIGURG take note: the shell and Snakemake around a training live
on. Of several ranks only SIGURG is taken: SIGTERM ends those that wait in vain for a rank that failed.

Nothing here imports PyTorch, which takes seconds in which a notice would be lost.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Notice:
    """The signal of a notice, once one came."""

    def __init__(self) -> None:
        """None came yet."""
        self.signal: signal.Signals | None = None

    def come(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal."""
        self.signal = signal.Signals(number)


@contextmanager
def noticed(ranks: int) -> Iterator[Notice]:
    """Within it, notices are taken note of and end nothing by themselves; ``ranks`` processes train together."""
    notice = Notice()
    signals = [signal.SIGURG] if ranks > 1 else [signal.SIGURG, signal.SIGTERM]
    before = {number: signal.signal(number, notice.come) for number in signals}
    try:
        yield notice
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
