"""A training's metrics for W&B, written to a folder and sent nowhere: ``wandb sync`` sends them, if anybody does."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from syntune.artifacts.training_records import StepMetrics
from syntune.training.job import Job
from syntune.training.recorder import Recorder

log = logging.getLogger("train")

PROJECT = "WANDB_PROJECT"
"""The variable by which W&B knows a project; without it, this is Syntune's."""

_NOTHING_ELSE = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "host": "-",
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""Settings of W&B without which it notes the machine, its user, the command, code and what is printed."""


@contextmanager
def tracked(job: Job, recorder: Recorder) -> Iterator[None]:
    """Within it, each step's line of ``metrics.jsonl`` goes to W&B too, after those of earlier attempts.

    So each attempt is a run of W&B's with the whole curve. A tracker that fails is told of and left; training goes on.
    """
    if job.tracker is None or not recorder.writes:
        yield
        return
    tracker = _Tracker(job)
    for line in recorder.steps:
        tracker.note(line)
    recorder.listeners.append(tracker.note)
    try:
        yield
    except BaseException:
        tracker.finish(1)
        raise
    tracker.finish(0)


class _Tracker:
    """A run of W&B's; None once it has failed."""

    def __init__(self, job: Job) -> None:
        self.run: Any = None
        self._try(self._start, job)

    def note(self, line: StepMetrics) -> None:
        """Log what a step's line holds."""
        if self.run is not None:
            measured = line.model_dump(exclude={"step"}, exclude_none=True)
            self._try(self.run.log, measured, step=line.step)

    def finish(self, status: int) -> None:
        """Close the run; another ``status`` than 0 says that it failed."""
        if self.run is not None:
            self._try(self.run.finish, exit_code=status)

    def _start(self, job: Job) -> None:
        """Begin a run in the job's folder."""
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        import wandb

        job.tracker.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=os.environ.get(PROJECT, "syntune"),
            name=job.run,
            group=job.run,
            config=job.settings.model_dump(mode="json"),
            settings=wandb.Settings(mode="offline", root_dir=str(job.tracker), **_NOTHING_ELSE),
        )

    def _try(self, call: Any, *arguments: Any, **named: Any) -> None:
        """Call W&B, whose failures are no reason to end a training."""
        try:
            call(*arguments, **named)
        except Exception as error:
            self.run = None
            log.warning("tracker: W&B failed (%s: %s); training goes on without it", type(error).__name__, error)
