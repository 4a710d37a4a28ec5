"""Hugging Face's Trainer, with this project's batches, loss and checkpoints."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DeepSpeedEngineWrapper
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, get_worker_info
from transformers import Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from syntune.models.family import Family, Processor, Row
from syntune.models.weights import check_tensors, read_tensors
from syntune.settings.runs import TrainedRunSettings
from syntune.training.batching import Batches, RunPlan, StepPlan
from syntune.training.ready import Ready
from syntune.training.rows import TrainingRows, padded
from syntune.training.schedule import warmup_steps
from syntune.training.work import Work
from syntune.training.zero import engine_wrapper, trained_tensors, zero_config

TRAINED = "trained.safetensors"
"""A checkpoint's trained parameters."""


class PlannedTrainer(Trainer):
    """A Trainer whose batches follow a :class:`StepPlan`.

    The loss of a step is the sum over all its supervised tokens, on all ranks, divided by their number, which the plan
    knows: micro-batches and ranks of different sizes weigh what they hold, and no batch is read before its turn.
    """

    def __init__(
        self,
        *,
        family: Family,
        processor: Processor,
        plan: StepPlan,
        rows: TrainingRows,
        work: Work,
        engine_wrapper: type[DeepSpeedEngineWrapper] | None,
        **kwargs: Any,
    ) -> None:
        self.family, self.processor, self.plan, self.rows, self.work = family, processor, plan, rows, work
        self.engine_wrapper = engine_wrapper
        super().__init__(train_dataset=rows, **kwargs)
        self.loss_is_scaled_for_ga = True
        self.model_accepts_loss_kwargs = True
        self.planned_steps = self.args.max_steps
        self.micro_losses: list[float | torch.Tensor] = []

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> tuple[nn.Module, DataLoader]:
        """Drive DeepSpeed in this project's way."""
        prepared = super()._prepare_for_training(*args, **kwargs)
        if self.engine_wrapper:
            self.accelerator.deepspeed_engine_wrapped = self.engine_wrapper(self.model_wrapped)
        return prepared

    def get_train_dataloader(self) -> DataLoader:
        """This rank's micro-batches of the whole run; workers decode images ahead."""
        workers = self.args.dataloader_num_workers
        return DataLoader(
            self.rows,
            batch_sampler=Batches(self.plan, self.args.process_index, self.args.max_steps),
            collate_fn=Collate(self.processor),
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            pin_memory=self.args.device.type == "cuda",
            worker_init_fn=start_worker,
        )

    def get_batch_samples(self, epoch_iterator: Iterator[Row], num_batches: int, device: torch.device) -> Any:
        """The step's micro-batches, each read when its turn comes, and the step's supervised tokens on all ranks."""
        self.micro_losses = []
        return _Lazily(epoch_iterator, num_batches), self.supervised(self.state.global_step)

    def supervised(self, step: int) -> int:
        """Supervised tokens of a step, counted from 0."""
        return int(self.rows.index.supervised[self.plan.rows(step)].sum())

    def _prepare_inputs(self, inputs: Row) -> Row:
        """A micro-batch on its way to the GPU, but for what its family keeps on the CPU."""
        kept = {name: inputs.pop(name) for name in self.family.kept_on_cpu if name in inputs}
        sent = {name: tensor.to(self.args.device, non_blocking=True) for name, tensor in inputs.items()}
        return self._prepare_input(sent) | kept

    def compute_loss(
        self, model: nn.Module, inputs: Row, return_outputs: bool = False, num_items_in_batch: int | None = None
    ) -> torch.Tensor:
        """The micro-batch's share of the step's loss, times the ranks, for gradients are averaged over them."""
        loss = self.family.training_loss(model, inputs, num_items_in_batch)
        self.micro_losses.append(loss.detach())
        if not loss.requires_grad:  # text alone, while what reads images is trained
            loss = loss + 0 * next(weight for weight in model.parameters() if weight.requires_grad).sum()
        return loss * self.args.world_size

    def floating_point_ops(self, inputs: Row) -> int:
        """Not estimated here: :mod:`syntune.training.flops` counts what this project reports."""
        return 0

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trained parameters, whole under any ZeRO stage."""
        tensors = trained_tensors(self.model)
        if self.args.should_save:
            folder = Path(output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / TRAINED)

    def _get_output_dir(self, trial: Any) -> str:
        """Where a checkpoint is written before it is put in its place."""
        return str(self.work.partial())

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """A checkpoint appears whole or not at all."""
        super()._save_checkpoint(model, trial)
        if self.args.world_size > 1:
            torch.distributed.barrier()
        if self.args.should_save:
            self.work.finish(self.state.global_step, self.args.save_total_limit)
        if self.args.world_size > 1:
            torch.distributed.barrier()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Read the trained parameters back; all of them must be there."""
        path = Path(resume_from_checkpoint) / TRAINED
        tensors = read_tensors(path)
        named = (model or self.model).named_parameters()
        own = {name: parameter for name, parameter in named if parameter.requires_grad}
        check_tensors(path, tensors, {name: parameter.shape for name, parameter in own.items()})
        with torch.no_grad():
            for name, tensor in tensors.items():
                own[name].copy_(tensor)


class _Lazily:
    """The next so many of an iterator, with a length: Trainer counts before it iterates."""

    def __init__(self, iterator: Iterator[Row], count: int) -> None:
        self.iterator, self.count = iterator, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Row]:
        return islice(self.iterator, self.count)


def start_worker(worker: int) -> None:
    """Let go of the files that the parent has open: each worker opens its own."""
    get_worker_info().dataset.shards.close()


class Collate:
    """A batch of rows; a class, so that a worker can be given it where processes are not forked."""

    def __init__(self, processor: Processor) -> None:
        self.processor = processor

    def __call__(self, rows: list[Row]) -> Row:
        """A training batch."""
        return padded(self.processor, rows)


def build_trainer(
    ready: Ready, rows: TrainingRows, plan: RunPlan, settings: TrainedRunSettings, work: Work
) -> PlannedTrainer:
    """The engine that trains a model on these rows, by this plan, into this work folder."""
    trainer = PlannedTrainer(
        family=ready.start.family,
        processor=ready.start.processor,
        plan=plan.step_plan,
        rows=rows,
        work=work,
        engine_wrapper=engine_wrapper(settings.zero.stage, settings.method) if settings.zero else None,
        model=ready.model,
        args=training_arguments(settings, work, plan.step_plan, plan.steps),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def training_arguments(settings: TrainedRunSettings, work: Work, plan: StepPlan, steps: int) -> TrainingArguments:
    """The run's settings in Trainer's terms."""
    optimizer = settings.optimizer
    zero = zero_config(settings.zero.stage, settings.zero.offload, plan.ranks) if settings.zero else None
    arguments = TrainingArguments(
        output_dir=str(work.folder),
        max_steps=steps,
        per_device_train_batch_size=max(1, settings.global_batch_size // (plan.ranks * plan.micro_batches)),
        gradient_accumulation_steps=plan.micro_batches,
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type=optimizer.scheduler,
        warmup_steps=warmup_steps(optimizer, steps),
        weight_decay=optimizer.weight_decay,
        max_grad_norm=optimizer.max_grad_norm,
        optim="adamw_torch_fused" if settings.gpus else "adamw_torch",
        bf16=settings.precision == "bf16",
        tf32=True if settings.gpus else None,
        use_cpu=not settings.gpus,
        seed=settings.random_seed,
        dataloader_num_workers=settings.workers,
        remove_unused_columns=False,
        average_tokens_across_devices=False,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=settings.keep_checkpoints,
        report_to="none",
        disable_tqdm=True,
        deepspeed=zero,
        ddp_find_unused_parameters=True,  # a micro-batch of text alone leaves the connector out
        ddp_timeout=60 * settings.timeout,
    )
    if arguments.device.type == "cuda":
        arguments._n_gpu = 1  # or Trainer spreads batches over all GPUs that it sees, whatever gpus says
    return arguments
