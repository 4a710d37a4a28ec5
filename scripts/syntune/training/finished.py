"""A run that was trained, before it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from syntune.artifacts.training_records import StepMetrics, Validation
from syntune.training.health import LEARNED, OK
from syntune.training.job import Job
from syntune.training.ready import Ready

NO_STEP = "taken by no step"
"""Rows that are left over when the others have filled the run's steps."""


@dataclass(frozen=True)
class Machine:
    """What a run was trained on.

    Attributes:
        device: its name.
        ranks: processes, each on such a device.
        peak_gib: memory.
        memory_kind: what was measured.
    """

    device: str
    ranks: int
    peak_gib: float
    memory_kind: str


@dataclass(frozen=True)
class Finished:
    """A run that was trained and is healthy.

    Attributes:
        job: what was asked for.
        ready: the model, as it was trained.
        tensors: the trained parameters, whole; for a method that writes a whole model, all parameters.
        counts: rows read, dropped and cut.
        rows: rows that could be trained on.
        trained_rows: those of them that a step took.
        micro_batches: per rank and step.
        steps: the lines of metrics.
        validation: the losses of held-out rows; None without.
        verdicts: of the health checks.
        machine: what it was trained on.
        wall_seconds: of this attempt's training.
        resumed_from: the step that this attempt went on from.
        work: the work folder.
    """

    job: Job
    ready: Ready
    tensors: dict[str, torch.Tensor]
    counts: dict[str, Any]
    rows: int
    trained_rows: int
    micro_batches: int
    steps: list[StepMetrics]
    validation: Validation | None
    verdicts: list[dict[str, str]]
    machine: Machine
    wall_seconds: float
    resumed_from: int | None
    work: Path

    @property
    def dropped(self) -> dict[str, int]:
        """Rows that were read and not trained on, by reason."""
        left_over = self.rows - self.trained_rows
        return self.counts["dropped"] | ({NO_STEP: left_over} if left_over else {})

    @property
    def learned(self) -> str | None:
        """The status of the verdict whether the run learned; None of a rehearsal."""
        return next((check["status"] for check in self.verdicts if check["name"] == LEARNED), None)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the run's scores must know first."""
        return [f"{check['name']}: {check['detail']}" for check in self.verdicts if check["status"] != OK]

    @property
    def seconds(self) -> float:
        """In optimizer steps, over all attempts."""
        return sum(line.seconds for line in self.steps)
