"""The log of a training: its file, and what it says before and after the steps."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch

from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings
from syntune.training.batching import RunPlan
from syntune.training.device import memory_kind, peak_memory_gib
from syntune.training.ready import Ready

log = logging.getLogger("train")


@contextmanager
def logged_to(path: Path, writes: bool) -> Iterator[None]:
    """Within it, the log goes to ``path`` too, after what earlier attempts wrote there; one rank speaks for all."""
    if not writes:
        log.setLevel(logging.WARNING)
        yield
        return
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def log_plan(settings: TrainedRunSettings, plan: RunPlan, ready: Ready, warning: str | None) -> None:
    """What is about to happen, and a warning about it, if there is one."""
    steps, parameters = plan.step_plan, ready.parameters
    log.info("method %s: trains %s", settings.method, METHODS[settings.method].trains)
    log.info(
        "%d steps of %d rows in %d micro-batches of at most %d tokens on each of %d ranks",
        plan.steps, steps.global_batch_size, steps.micro_batches, settings.micro_batch_tokens, steps.ranks,
    )  # fmt: skip
    rows, taken = len(steps.lengths), steps.taken(plan.steps)
    if taken < rows and plan.steps == plan.steps_of_run:
        log.info("%d of %d rows are taken by no step, and counted as dropped", rows - taken, rows)
    if warning:
        log.warning("%s", warning)
    log.info(
        "%s parameters, %s trained (%s of them LoRA); attention %s; precision %s; %s",
        f"{parameters.total:,}", f"{parameters.trainable:,}", f"{parameters.lora:,}", ready.attention,
        settings.precision, f"ZeRO stage {settings.zero.stage}" if settings.zero else "without DeepSpeed",
    )  # fmt: skip
    if settings.zero and settings.gpus == 1 and not settings.zero.offload:
        log.warning("zero: one GPU has nothing to share, and DeepSpeed takes time; leave it out, or set offload: true")


def log_rehearsal(seconds: float, device: torch.device, steps: int) -> None:
    """What the run's heaviest step took, in ``seconds``, and how long the run's own ``steps`` may take."""
    log.info(
        "the run's heaviest step took %.1f s and at most %.1f GiB (%s); %d such steps would take %s",
        seconds, peak_memory_gib(device), memory_kind(device), steps, timedelta(seconds=round(seconds * steps)),
    )  # fmt: skip
