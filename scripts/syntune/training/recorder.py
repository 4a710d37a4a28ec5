"""What a run tells while it trains: a line of metrics for each step, the log, a progress bar, and its health."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback

from syntune.artifacts.training_records import StepMetrics
from syntune.training.device import peak_memory_gib
from syntune.training.engine import PlannedTrainer
from syntune.training.flops import Flops, matmul_flops_per_second
from syntune.training.health import Health, Unhealthy
from syntune.training.lines import read_done, write_lines
from syntune.training.validation import Validator

log = logging.getLogger("train")

_QUIET_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""


class Recorder(TrainerCallback):
    """Writes ``metrics.jsonl`` and feeds the health checks; on the first rank only it writes."""

    def __init__(
        self,
        trainer: PlannedTrainer,
        health: Health,
        metrics: Path,
        flops: Flops,
        speed: float | None,
        writes: bool,
        validator: Validator | None,
    ) -> None:
        """``speed`` is what MFU is a share of, in FLOP/s; None leaves it out. ``listeners`` are given each line."""
        self.validator = validator
        self.trainer, self.health, self.metrics = trainer, health, metrics
        self.flops, self.speed, self.writes = flops, speed, writes
        self.clock = self.started = self.told = time.perf_counter()
        self.steps: list[StepMetrics] = []
        self.resumed_from = 0
        self.listeners: list[Callable[[StepMetrics], None]] = []
        self.bar: tqdm | None = None

    def resume(self, step: int) -> None:
        """Keep the lines up to ``step`` and take them up again; later ones belong to steps that will be done anew.

        Raises:
            UserError: a line of these steps is missing or damaged.
        """
        kept = read_done(self.metrics, StepMetrics, range(1, step + 1))
        for line in kept:
            self.health.after_step(line.step, line.loss, line.grad_norm, line.learning_rate)
        self.steps, self.resumed_from = kept, step
        if self.writes:
            write_lines(self.metrics, kept)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock and the bar."""
        self.clock = self.started = self.told = time.perf_counter()
        if self.writes:
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc="train", unit="step", disable=None)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note a step that was just done; stop if it was not healthy."""
        if not logs or "loss" not in logs:
            return
        line = self._line(state.global_step, logs)
        self.steps.append(line)
        if self.writes:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line.as_written()) + "\n")
            for listener in self.listeners:
                listener(line)
            self._tell(line, state.max_steps)
        try:
            self.health.after_step(line.step, line.loss, line.grad_norm, line.learning_rate)
        except Unhealthy as error:
            suspects = self._suspects(state.global_step - 1)
            error.args = (f"{error.args[0]}; rows of the micro-batch with the largest loss: {suspects}",)
            raise

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _line(self, step: int, logs: dict[str, float]) -> StepMetrics:
        """A step's line of metrics."""
        plan, index = self.trainer.plan, self.trainer.rows.index
        rows = plan.rows(step - 1)
        lengths = index.lengths[rows]
        supervised = int(index.supervised[rows].sum())
        if self.trainer.args.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now
        measured = {}
        if self.validator and (validated := self.validator.at(step)) is not None:
            measured["validation_loss"] = validated
            seconds -= self.validator.seconds
        tokens = int(lengths.sum())
        if self.speed:
            done = self.flops.rows(lengths.tolist(), supervised)
            measured["mfu"] = round(done / seconds / (self.speed * self.trainer.args.world_size), 4)
        return StepMetrics(
            step=step,
            epoch=round(step * plan.global_batch_size / len(index), 6),
            loss=logs["loss"],
            grad_norm=None if logs.get("grad_norm") is None else float(logs["grad_norm"]),
            learning_rate=logs["learning_rate"],
            samples=len(rows),
            tokens=tokens,
            supervised_tokens=supervised,
            seconds=round(seconds, 4),
            samples_per_second=round(len(rows) / seconds, 3),
            tokens_per_second=round(tokens / seconds, 1),
            memory_gib=round(peak_memory_gib(self.trainer.args.device), 3),
            **measured,
        )

    def _tell(self, line: StepMetrics, steps: int) -> None:
        """Move the bar or, without a terminal, log a line now and then."""
        told = f"loss {line.loss:.4f}, {line.samples_per_second:.1f} rows/s"
        if self.bar is not None and not self.bar.disable:
            self.bar.set_postfix_str(told)
            self.bar.update()
        now = time.perf_counter()
        if line.step in (1, steps) or now - self.told >= _QUIET_SECONDS:
            self.told = now
            left = (steps - line.step) * (now - self.started) / (line.step - self.resumed_from)
            log.info(
                "step %d of %d: %s, learning rate %.3g, gradient norm %.3g, about %.0f s left",
                line.step, steps, told, line.learning_rate, line.grad_norm or 0.0, left,
            )  # fmt: skip

    def _suspects(self, step: int) -> str:
        """The rows of this rank's micro-batch that lost most in a step, counted from 0."""
        losses = [float(loss) for loss in self.trainer.micro_losses]
        worst = max(
            range(len(losses)), key=lambda which: losses[which] if losses[which] == losses[which] else float("inf")
        )
        rows = self.trainer.plan.micro_batches_of(step)[worst][self.trainer.args.process_index].tolist()
        names = self.trainer.rows.ids(rows[:5])
        return ", ".join(names) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def record(
    trainer: PlannedTrainer, health: Health, folder: Path, done: int, writes: bool, validator: Validator | None
) -> Recorder:
    """Have a trainer's steps recorded and checked, beginning with the ``done`` ones of earlier attempts.

    Args:
        trainer: the engine, before it trains.
        health: the checks.
        folder: where metrics and TensorBoard's events are.
        done: steps that are behind it.
        writes: whether this rank writes.
        validator: what computes validation losses; it runs before the steps are recorded.

    Raises:
        Unhealthy: a step of an earlier attempt was not healthy.
    """
    device = trainer.args.device
    speed = matmul_flops_per_second(device) if device.type == "cuda" else None
    flops = Flops(trainer.model, trainer.family)
    recorder = Recorder(trainer, health, folder / "metrics.jsonl", flops, speed, writes, validator)
    if writes:
        events = SummaryWriter(log_dir=str(folder / "events"), purge_step=done + 1 if done else None)
        trainer.add_callback(TensorBoardCallback(events))
        if validator:
            validator.events = events
    trainer.add_callback(recorder)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    recorder.resume(done)
    return recorder
