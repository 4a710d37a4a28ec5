"""One process for each GPU, and what their end means."""

import signal
import sys
from uuid import uuid4

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from syntune.errors import UserError


def run_ranks(command: list[str], count: int, timeout: int) -> None:
    """Run a Python command in ``count`` processes, told of each other as torchrun does, and wait for them.

    Each process prints its own error; if one ends, the others are ended.

    Args:
        command: script and arguments.
        count: processes.
        timeout: minutes after which PyTorch ends a process that waits for the others, for the message.

    Raises:
        UserError: a process failed.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-u", *command)
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise UserError(_meaning(rank, failure.exitcode, timeout)) from error


def _meaning(rank: int, status: int, timeout: int) -> str:
    """What the exit status of the rank that failed first says."""
    if status == -signal.SIGABRT:
        return (
            f"rank {rank} was aborted. If a collective timed out, as the lines above then say, a GPU waited {timeout} "
            "minutes (timeout) for the others: look for an earlier error or a stalled disk on another rank, or raise "
            "timeout"
        )
    if status in (-signal.SIGTERM, -signal.SIGINT):
        return f"rank {rank} was ended from outside, by {signal.Signals(-status).name}"
    if status == -signal.SIGKILL:
        return (
            f"rank {rank} was killed, as the system does where memory is short: give the rule more mem_mb, or lower "
            "workers"
        )
    return f"rank {rank} failed with exit status {status}: its error is above"
