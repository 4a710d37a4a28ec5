"""Validation: the loss of held-out rows while a run trains, without dropout and without a trace in the training."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from syntune.artifacts.training_records import Validation, ValidationLoss
from syntune.errors import UserError
from syntune.training.engine import Collate, PlannedTrainer, start_worker
from syntune.training.job import Job
from syntune.training.lines import read_done, write_lines
from syntune.training.rows import TrainingRows

log = logging.getLogger("train")

Round = list[list[int]]
"""The rows of one micro-batch for each rank."""


def plan_rounds(lengths: np.ndarray, tokens: int, ranks: int) -> list[Round]:
    """Deal rows out, the longest first, to micro-batches of at most so many tokens, one for each rank at a time.

    Ranks that share parameters must call the model equally often: an empty micro-batch stands where one is missing.
    """
    batches: list[list[int]] = []
    load = 0
    for row in np.argsort(-lengths, kind="stable").tolist():
        if not batches or load + lengths[row] > tokens:
            batches.append([])
            load = 0
        batches[-1].append(row)
        load += int(lengths[row])
    batches += [[]] * (-len(batches) % ranks)
    return [batches[start : start + ranks] for start in range(0, len(batches), ranks)]


def is_over(losses: Sequence[float], patience: int) -> bool:
    """Whether the last ``patience`` losses, or more, were not below the lowest before them."""
    return len(losses) - 1 - int(np.argmin(losses)) >= patience if losses else False


class Validator(TrainerCallback):
    """Computes validation losses when they are due, keeps them for later attempts, and may end the run."""

    def __init__(self, trainer: PlannedTrainer, rows: TrainingRows, job: Job, path: Path, writes: bool) -> None:
        """``path`` is the file of the losses; the rank that ``writes`` writes it."""
        self.trainer, self.rows, self.path, self.writes = trainer, rows, path, writes
        self.every, self.early_stop = job.settings.eval_steps, job.settings.early_stop
        rounds = plan_rounds(rows.index.lengths, job.settings.micro_batch_tokens, trainer.args.world_size)
        if job.rehearses:  # the longest rows show what memory it takes
            rounds = [[batch[: job.settings.global_batch_size] for batch in rounds[0]]]
        self.batches = [batches[trainer.args.process_index] for batches in rounds]
        self.used = sorted(row for batches in rounds for batch in batches for row in batch)
        self.supervised = int(rows.index.supervised[self.used].sum())
        self.losses: list[ValidationLoss] = []
        self.events: SummaryWriter | None = None
        self.seconds = 0.0

    def resume(self, step: int) -> None:
        """Keep the losses up to ``step``; those of later steps will be computed anew.

        Raises:
            UserError: one of these losses is missing or damaged.
        """
        due = {0, *range(self.every, step + 1, self.every), *({step} if step >= self.trainer.planned_steps else ())}
        self.losses = read_done(self.path, ValidationLoss, sorted(due) if step else [])
        if self.writes:
            write_lines(self.path, self.losses)

    @property
    def is_over(self) -> bool:
        """Whether the run is to end early."""
        losses = [line.loss for line in self.losses]
        return self.early_stop is not None and is_over(losses, self.early_stop.patience)

    def at(self, step: int) -> float | None:
        """The loss after a step, if it was computed."""
        return next((line.loss for line in self.losses if line.step == step), None)

    def report(self) -> Validation:
        """All of it."""
        best = min(self.losses, key=lambda line: line.loss)
        return Validation(
            rows=len(self.used),
            supervised_tokens=self.supervised,
            losses=self.losses,
            best_step=best.step,
            best_loss=best.loss,
            stopped_early=self.is_over and self.losses[-1].step < self.trainer.planned_steps,
        )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Compute the loss before the first step."""
        if not self.losses:
            self._validate(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Compute the loss where it is due and at the end, and end the run if it falls no more."""
        step = state.global_step
        if step % self.every == 0 or step >= state.max_steps:
            self._validate(step)
            if self.is_over:
                log.info("validation loss has not fallen %d times in a row: the run ends", self.early_stop.patience)
                control.should_training_stop = True

    def _validate(self, step: int) -> None:
        """Compute the loss and tell of it."""
        begun = time.perf_counter()
        self.losses.append(ValidationLoss(step=step, loss=self.loss()))
        self.seconds = time.perf_counter() - begun
        if self.writes:
            write_lines(self.path, self.losses)
            log.info("step %d: validation loss %.4f, in %.1f s", step, self.losses[-1].loss, self.seconds)
        if self.events:
            self.events.add_scalar("validation/loss", self.losses[-1].loss, step)

    @torch.no_grad()
    def loss(self) -> float:
        """Mean over the supervised tokens of all held-out rows, in nats; every rank must ask for it."""
        trainer, model = self.trainer, self.trainer.model_wrapped
        total = torch.zeros((), dtype=torch.float64, device=trainer.args.device)
        trainer.family.without_dropout(model)
        with trainer.compute_loss_context_manager():
            for batch, inputs in zip(self.batches, self._loader(), strict=True):
                loss = trainer.family.training_loss(model, trainer._prepare_inputs(inputs), self.supervised)
                total += loss.double() * bool(batch)
        model.train()
        if trainer.args.world_size > 1:
            torch.distributed.all_reduce(total)
        return float(total)

    def _loader(self) -> DataLoader:
        """This rank's micro-batches; an empty one is run with some row, for nothing."""
        workers = self.trainer.args.dataloader_num_workers
        return DataLoader(
            self.rows,
            batch_sampler=[batch or self.used[:1] for batch in self.batches],
            collate_fn=Collate(self.trainer.processor),
            num_workers=workers,
            pin_memory=self.trainer.args.device.type == "cuda",
            worker_init_fn=start_worker,
            generator=torch.Generator(),  # of its own: the run's draws the masks of dropout
        )


def validate(trainer: PlannedTrainer, rows: TrainingRows, job: Job, folder: Path, done: int, writes: bool) -> Validator:
    """Have a trainer compute validation losses, going on from those of the ``done`` steps of earlier attempts.

    Args:
        trainer: the engine, before it trains.
        rows: what is held out.
        job: what is trained.
        folder: the work folder.
        done: steps that are behind it.
        writes: whether this rank writes.

    Raises:
        UserError: no held-out row has anything to predict.
    """
    if not len(rows):
        raise UserError(
            f"datasets.{job.settings.dataset}.holdout: no held-out row can be used; raise it, or max_length"
        )
    validator = Validator(trainer, rows, job, folder / "validation.jsonl", writes)
    validator.resume(done)
    if validator.is_over:
        trainer.args.max_steps = done
    trainer.add_callback(validator)
    return validator
