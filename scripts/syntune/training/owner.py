"""One training at a time in a work folder: two would prune each other's checkpoints."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syntune.errors import UserError


@contextmanager
def owned(lock: Path) -> Iterator[None]:
    """Within it, no other process holds the file ``lock``, which names its owner.

    The lock ends with the process, however that ends, so nothing has to be removed by hand.

    Raises:
        UserError: a process that still runs holds it, such as a job that outlived its Snakemake.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise UserError(
                f"{lock.with_suffix('')}: {owner} trains there; wait for it or end it, then run snakemake again"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}{_slurm_job()}\n")
        file.flush()
        yield


def _slurm_job() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    return f", SLURM job {job}," if job else ""
