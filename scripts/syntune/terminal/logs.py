"""What the logs of jobs say last."""

import os
from collections.abc import Iterable

_LINES = 12
_BYTES = 8192
_CLOCKS = 2.0
"""Seconds that the clocks of two machines may differ by."""


def last_lines(path: str, since: float, count: int = _LINES) -> list[str]:
    """The last lines of a log, without empty ones; of a bar that was drawn again and again, how it looked last.

    A log that was not written to after ``since``, in seconds since 1970, is an earlier job's and says nothing.
    """
    try:
        if os.path.getmtime(path) < since - _CLOCKS:
            return []
        with open(path, "rb") as log:
            log.seek(max(log.seek(0, 2) - _BYTES, 0))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line for line in lines if line][-count:]


def ends_of(paths: Iterable[str], since: float) -> list[str]:
    """What the logs of a job that failed say last, and where they lie.

    The first is the job's own. Any further one is a cluster's, whose end is Snakemake's text: of that, what SLURM says.
    """
    lines: list[str] = []
    for path in paths:
        said = last_lines(path, since)
        if lines:
            said = [line for line in said if "slurmstepd" in line]
        lines += [f"    {line}" for line in said]
    return [*lines, *(f"  log: {path}" for path in paths)]
