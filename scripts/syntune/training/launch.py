"""One process for each GPU, and what their end means."""

import ctypes
import os
import signal
import sys
from uuid import uuid4

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from syntune.errors import UserError
from syntune.gpus import take_gpus
from syntune.settings.runs import TrainedRunSettings

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def launch(command: list[str], settings: TrainedRunSettings) -> bool:
    """Take a run's GPUs; if they are several, run a Python command once for each, unless this process is such a one.

    Returns:
        Whether it was run.

    Raises:
        UserError: there are fewer GPUs than are asked for, or a process failed.
    """
    if "RANK" in os.environ:
        _end_with_launcher()
        return False
    take_gpus(settings.gpus)
    if settings.gpus <= 1:
        return False
    refuse_missing_gpus(settings)
    run_ranks(command, settings.gpus, settings.timeout)
    return True


def _end_with_launcher() -> None:
    """Have the kernel kill this process once the one that started it is dead, which held the GPUs and the work folder.

    Even a launcher that is killed leaves nothing behind. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def refuse_missing_gpus(settings: TrainedRunSettings) -> None:
    """Check that there are as many GPUs as are asked for.

    Raises:
        UserError: there are fewer.
    """
    there = torch.cuda.device_count() if settings.gpus else 0
    if there < settings.gpus:
        raise UserError(
            f"gpus: {settings.gpus} are asked for, but PyTorch {torch.__version__} sees {there} here; lower gpus "
            "(0 trains on the CPU), or check nvidia-smi and that torch is a CUDA build"
        )


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
