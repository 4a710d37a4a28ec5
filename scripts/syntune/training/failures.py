"""What stops a training, in words for the one who set it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from syntune.errors import UserError
from syntune.training.health import Unhealthy
from syntune.training.job import Job
from syntune.training.ranks import Ranks
from syntune.training.stopping import Stopped


@contextmanager
def failures_explained(job: Job, ranks: Ranks, work: Path) -> Iterator[None]:
    """Within it, a failure that the user can do something about says what.

    Args:
        job: the job that may fail.
        ranks: those that train it.
        work: its work folder.

    Raises:
        UserError: the run is not healthy or was told to stop, the GPU's memory is not enough, or a rank waited too long
            for the others.
    """
    try:
        yield
    except Unhealthy as error:
        raise UserError(
            f"run {job.run} is not healthy: {error}. It does not become a checkpoint; what it had saved stays in {work}"
        ) from error
    except Stopped as stopped:
        raise UserError(f"run {job.run} {stopped}; it goes on from there when the job runs again") from stopped
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"run {job.run}: the GPU's memory is not enough; lower micro_batch_tokens, then set "
            "gradient_checkpointing: true, then zero: {stage: 3, offload: true}"
        ) from error
    except (RuntimeError, torch.distributed.DistError) as error:
        if ranks.count > 1 and re.search(r"timed?[ -]?out", str(error), re.IGNORECASE):
            raise UserError(
                f"run {job.run}: a GPU waited {job.settings.timeout} minutes for the others (timeout); look for an "
                "earlier error of another rank in this log"
            ) from error
        raise
