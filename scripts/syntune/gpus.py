"""The GPUs of one machine, shared out among jobs: each sees those alone that it holds, by ``CUDA_VISIBLE_DEVICES``.

Snakemake counts GPUs and leaves open which ones a job gets. So a job holds a lock on a small file for each of its own.
The kernel lets go of a lock when its process ends, however that happens, so nothing has to be removed by hand.
"""

import fcntl
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import IO

log = logging.getLogger("gpus")

VARIABLE = "CUDA_VISIBLE_DEVICES"
FOLDER = Path(tempfile.gettempdir()) / f"syntune-gpus-{os.getuid()}"
"""Where the locks lie: of all workflows of this user on this machine."""

_TRY_EVERY, _SAY_EVERY = 2, 60
"""Seconds."""

_held: list[IO[str]] = []
"""The locks of this process."""


def gpus_here() -> list[str]:
    """The GPUs that may be used, as ``CUDA_VISIBLE_DEVICES`` names them: what it names, else all of the machine."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(index) for index, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


def take_gpus(count: int) -> None:
    """Let this process, and those that it starts, see ``count`` GPUs which no other job holds, until it ends.

    Must come before the first use of CUDA. Waits while too few are free. Does nothing in a job of SLURM, which shares
    out GPUs itself, and where there are fewer than ``count``, which whoever uses them says.
    """
    here = gpus_here()
    if not count or _held or "SLURM_JOB_ID" in os.environ or len(here) < count:
        return
    FOLDER.mkdir(exist_ok=True)
    said = float("-inf")
    while not (taken := _try(here, count)):
        if time.monotonic() - said > _SAY_EVERY:
            said = time.monotonic()
            log.info("waiting for %d of the GPUs %s: other jobs hold them (%s)", count, ", ".join(here), FOLDER)
        time.sleep(_TRY_EVERY)
    _held.extend(taken.values())
    os.environ[VARIABLE] = ",".join(taken)


def _try(names: list[str], count: int) -> dict[str, IO[str]]:
    """Lock ``count`` of these GPUs, or none of them: jobs that each hold a part would wait for each other."""
    taken: dict[str, IO[str]] = {}
    for name in names:
        lock = (FOLDER / f"{name.replace(os.sep, '-')}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        taken[name] = lock
        if len(taken) == count:
            return taken
    for lock in taken.values():
        lock.close()
    return {}
