"""A run that was trained, before it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from syntune.artifacts.training_records import StepMetrics
from syntune.training.job import Job
from syntune.training.ready import Ready


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
        rows: rows trained on.
        micro_batches: per rank and step.
        steps: the lines of metrics.
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
    micro_batches: int
    steps: list[StepMetrics]
    verdicts: list[dict[str, str]]
    machine: Machine
    wall_seconds: float
    resumed_from: int | None
    work: Path

    @property
    def seconds(self) -> float:
        """In optimizer steps, over all attempts."""
        return sum(line.seconds for line in self.steps)
