"""The learning rate of each step, from the schedules' definitions: linear warm-up, then a named course."""

import math
from typing import Any

from syntune.settings.runs import OptimizerSettings


def warmup_steps(optimizer: OptimizerSettings, steps: int) -> int:
    """Optimizer steps of warm-up: the share of all, rounded up, but not all: the first has a learning rate of zero."""
    return min(math.ceil(optimizer.warmup_ratio * steps), steps - 1)


def planned_learning_rates(steps: int, peak: float, scheduler: str, warmup_steps: int) -> list[float]:
    """The learning rate of each step: ``scheduler`` names the course from ``peak`` on, after ``warmup_steps``."""

    def share(done: int) -> float:
        if done < warmup_steps:
            return done / max(1, warmup_steps)
        progress = (done - warmup_steps) / max(1, steps - warmup_steps)
        courses: dict[str, Any] = {
            "cosine": max(0.0, 0.5 * (1 + math.cos(math.pi * progress))),
            "linear": max(0.0, 1 - progress),
            "constant_with_warmup": 1.0,
        }
        return courses[scheduler]

    return [peak * share(done) for done in range(steps)]
