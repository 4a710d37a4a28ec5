"""A run, from its settings to its checkpoint."""

import gc
import logging
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from transformers import set_seed
from transformers.integrations import TensorBoardCallback
from transformers.trainer_callback import PrinterCallback

from syntune.artifacts.fingerprints import training_fingerprint
from syntune.artifacts.manifests import read_manifest
from syntune.errors import UserError
from syntune.models.checkpoints import Loaded, load_chain
from syntune.settings.runs import TrainedRunSettings
from syntune.training.batching import StepPlan, plan_steps
from syntune.training.engine import PlannedTrainer, training_arguments, warmup_steps
from syntune.training.flops import Flops, matmul_flops_per_second
from syntune.training.gemma.fuse import fuse_adapters
from syntune.training.health import Health, Unhealthy, planned_learning_rates
from syntune.training.launch import refuse_missing_gpus
from syntune.training.memory import GIB, memory_kind, peak_memory_gib
from syntune.training.methods import Parameters, adapt, count_parameters
from syntune.training.outputs import Finished, write_checkpoint
from syntune.training.quantized import quantize_language_model
from syntune.training.recorder import Recorder
from syntune.training.rows import NO_ANSWER_LEFT, Index, TrainingRows, describe, index_rows
from syntune.training.shards import Shards
from syntune.training.work import Work
from syntune.training.zero import engine_wrapper, kept_whole, mark_leaves, prepare_deepspeed, trained_tensors

log = logging.getLogger("train")


@dataclass(frozen=True)
class Job:
    """What a training job is given, and where it writes.

    Attributes:
        run: the run's name.
        settings: the run's.
        dataset: manifest of the shards.
        starts: the folders that the run starts from: a full checkpoint, then adapters.
        start_manifests: their manifests.
        work: folder of work folders.
        checkpoint: folder to write.
        manifest: manifest to write.
        stage: the rule's name.
        rehearsed_steps: optimizer steps to train instead of the run's own, each with the rows of its heaviest; None
            trains the run.
    """

    run: str
    settings: TrainedRunSettings
    dataset: Path
    starts: list[Path]
    start_manifests: list[Path]
    work: Path
    checkpoint: Path
    manifest: Path
    stage: str = "train"
    rehearsed_steps: int | None = None


@dataclass(frozen=True)
class Ranks:
    """This process among those that share a run, as torchrun numbers them."""

    rank: int
    count: int

    @classmethod
    def here(cls) -> "Ranks":
        """From the environment."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0


def train_run(job: Job) -> None:
    """Train a run, or go on with it where an earlier job of the same fingerprint stopped.

    Raises:
        UserError: the run cannot be trained as it is set, or it was not healthy.
    """
    settings, ranks = job.settings, Ranks.here()
    device = find_device(settings, ranks)
    torch.set_num_threads(settings.threads)
    dataset = read_manifest(job.dataset)
    starts = [read_manifest(path) for path in job.start_manifests]
    contents = [start.content for start in starts]
    identity = training_fingerprint(settings, dataset.content, contents, job.stage, layout=False)
    stage, offload = (settings.zero.stage, settings.zero.offload) if settings.zero else (None, None)
    layout = {"gpus": settings.gpus, "ranks": ranks.count, "zero stage": stage, "zero offload": offload}
    work = Work(job.work / identity, layout)
    if ranks.first:
        work.clean()
    with logged(work.folder / "finetuning.log", ranks.first):
        log.info("run %s, fingerprint %s, on %s", job.run, identity, device_name(device))
        fresh = len(starts) == 1 and starts[0].settings.get("source") == "tiny"
        try:
            finished = _train(job, work, ranks, device, fresh)
            leave_ranks()
        except Unhealthy as error:
            raise UserError(
                f"run {job.run} is not healthy: {error}. It does not become a checkpoint; what it had saved stays in "
                f"{work.folder}"
            ) from error
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"run {job.run}: the GPU's memory is not enough; lower micro_batch_tokens, then set "
                "gradient_checkpointing: true, then zero: {stage: 3, offload: true}"
            ) from error
        except (RuntimeError, torch.distributed.DistError) as error:
            if ranks.count > 1 and re.search(r"timed?[ -]?out", str(error), re.IGNORECASE):
                raise UserError(
                    f"run {job.run}: a GPU waited {settings.timeout} minutes for the others (timeout); look for an "
                    "earlier error of another rank in this log"
                ) from error
            raise
        if ranks.first:
            log.info("done: %s", ", ".join(f"{check['name']} {check['status']}" for check in finished.verdicts))
    if ranks.first:
        write_checkpoint(job.checkpoint, job.manifest, finished, dataset, starts)


def _train(job: Job, work: Work, ranks: Ranks, device: torch.device, fresh: bool) -> Finished:
    """Everything between reading and writing."""
    settings = job.settings
    set_seed(settings.random_seed)
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    loaded = load_start(job, dtype)
    index, rows = read_rows(job, work, loaded, ranks)
    plan, steps = plan_steps(
        index.lengths, index.images, global_batch_size=settings.global_batch_size,
        tokens_per_micro_batch=settings.micro_batch_tokens, ranks=ranks.count, epochs=settings.epochs,
        max_steps=settings.max_steps, seed=settings.random_seed,
    )  # fmt: skip
    planned = steps
    if job.rehearsed_steps:
        plan, steps = plan.heaviest(steps), job.rehearsed_steps
    optimizer = settings.optimizer
    health = Health(
        settings.health,
        vocabulary=loaded.model.get_output_embeddings().weight.shape[0],
        schedule=planned_learning_rates(
            steps, optimizer.learning_rate, optimizer.scheduler, warmup_steps(settings, steps)
        ),
        rows=index.counts["rows"],
        masked=index.dropped.get(NO_ANSWER_LEFT, 0),
        fresh=fresh,
    )
    health.before(index.counts["examples"].get(NO_ANSWER_LEFT, []))
    if settings.method == "qlora":
        quantize_language_model(loaded.model, loaded.family, device)
    attention = loaded.family.use_attention(loaded.model, settings.attention, device, dtype)
    if settings.gradient_checkpointing:
        loaded.model.activation_checkpointing_enable({"use_reentrant": False})
    model = adapt(loaded.model, loaded.family, settings, job.starts[-1].as_posix())
    parameters = count_parameters(model)
    fast = device.type == "cuda" and settings.precision == "bf16"
    if fast:
        loaded.family.compile_vision(loaded.model)
    if isinstance(model, PeftModel) and fast:
        fused = fuse_adapters(model)
        log.info("fused %d MLPs and %d attention blocks; left: %s", fused.mlps, fused.attentions, fused.left or "none")
    tell_plan(settings, plan, steps, parameters, attention)
    if settings.zero:
        loaded.family.encode_without_images(loaded.model, ranks.count)
        prepare_deepspeed()
        mark_leaves(model)
    latest = work.latest()
    done = int(latest.name.rpartition("-")[2]) if latest else 0
    trainer, recorder = build_trainer(job, work, ranks, loaded, model, plan, steps, rows, health, done)
    recorder.resume(done)
    if latest:
        log.info("going on after step %d, from %s", done, latest)
    begun = time.perf_counter()
    hidden = settings.zero and loaded.family.records_towers and not settings.train_vision
    with kept_whole(model, loaded.family.towers(loaded.model) if hidden else [], device):
        trainer.train(resume_from_checkpoint=str(latest) if latest else None)
    tensors = trained_tensors(model, frozen_too=settings.method == "full")
    if job.rehearsed_steps and ranks.first:
        tell_rehearsal(recorder.steps[-1]["seconds"], device, planned)
    health.at_end({name: float(of.abs().max()) for name, of in tensors.items() if ".lora_B." in name})
    return Finished(
        run=job.run,
        stage=job.stage,
        settings=settings,
        model=model,
        loaded=loaded,
        tensors=tensors,
        steps=recorder.steps,
        counts=index.counts,
        rows=len(index),
        parameters=parameters,
        verdicts=health.report(),
        seconds=sum(line["seconds"] for line in recorder.steps),
        wall_seconds=time.perf_counter() - begun,
        peak_gib=peak_memory_gib(device),
        memory_kind=memory_kind(device),
        device=device_name(device),
        ranks=ranks.count,
        attention=attention,
        micro_batches=plan.micro_batches,
        resumed_from=done or None,
        work=work.folder,
    )


def leave_ranks() -> None:
    """Part from the other ranks, once training is over and its trainer out of reach.

    A thread of gloo's that is still giving up its last work as Python ends is killed, and the process with it: what
    refers to the group goes first, so that destroying the group ends its threads.
    """
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        gc.collect()
        torch.distributed.destroy_process_group()


def find_device(settings: TrainedRunSettings, ranks: Ranks) -> torch.device:
    """Where this process trains.

    Raises:
        UserError: there are fewer GPUs than are asked for.
    """
    if not settings.gpus:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # or DeepSpeed would look for a GPU, and say so
        return torch.device("cpu")
    refuse_missing_gpus(settings)
    if ranks.count != settings.gpus:
        raise UserError(f"gpus: {settings.gpus} are asked for, but {ranks.count} processes were started")
    os.environ["ACCELERATE_BYPASS_DEVICE_MAP"] = "true"  # or DDP sends to the GPU what the model reads on the CPU
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(device)
    return device


def load_start(job: Job, dtype: torch.dtype) -> Loaded:
    """The model that the run starts from, its longest row set to the run's."""
    settings = job.settings
    loaded = load_chain(job.starts, dtype)
    own = loaded.processor.max_length
    if own < settings.max_length:
        log.info("max_length %d is more than the model's %d, which counts", settings.max_length, own)
    loaded.processor.max_length = min(own, settings.max_length)
    return loaded


def read_rows(job: Job, work: Work, loaded: Loaded, ranks: Ranks) -> tuple[Index, TrainingRows]:
    """Tokenise the dataset, on the first rank, and tell what is in it."""
    settings, folder = job.settings, work.folder / "tokens"
    shards = Shards(job.dataset)
    deadline = time.monotonic() + 60 * settings.timeout
    while not ranks.first and not folder.is_dir():
        if time.monotonic() > deadline:
            raise UserError(f"rank {ranks.rank} waited {settings.timeout} minutes for the dataset's tokens (timeout)")
        time.sleep(1)
    index = index_rows(shards, loaded.processor, folder, loaded.processor.max_length, settings.too_long)
    log.info("dataset %s: %s", settings.dataset, describe(index))
    return index, TrainingRows(shards, index, loaded.processor)


def tell_plan(settings: TrainedRunSettings, plan: StepPlan, steps: int, parameters: Parameters, attention: str) -> None:
    """What is about to happen, for the log."""
    log.info(
        "%d steps of %d rows in %d micro-batches of at most %d tokens on each of %d ranks",
        steps, plan.global_batch_size, plan.micro_batches, settings.micro_batch_tokens, plan.ranks,
    )  # fmt: skip
    log.info(
        "%s parameters, %s trained (%s of them LoRA); attention %s; precision %s; %s",
        f"{parameters.total:,}", f"{parameters.trainable:,}", f"{parameters.lora:,}", attention, settings.precision,
        f"ZeRO stage {settings.zero.stage}" if settings.zero else "without DeepSpeed",
    )  # fmt: skip
    if settings.zero and settings.gpus == 1 and not settings.zero.offload:
        log.warning("zero: one GPU has nothing to share, and DeepSpeed takes time; leave it out, or set offload: true")


def tell_rehearsal(seconds: float, device: torch.device, steps: int) -> None:
    """What the run's heaviest step took, for the log, and how long its own steps may take."""
    log.info(
        "the run's heaviest step took %.1f s and at most %.1f GiB (%s); %d such steps would take %s",
        seconds, peak_memory_gib(device), memory_kind(device), steps, timedelta(seconds=round(seconds * steps)),
    )  # fmt: skip


def build_trainer(
    job: Job,
    work: Work,
    ranks: Ranks,
    loaded: Loaded,
    model: nn.Module,
    plan: StepPlan,
    steps: int,
    rows: TrainingRows,
    health: Health,
    done: int,
) -> tuple[PlannedTrainer, Recorder]:
    """The engine and what watches it; ``done`` steps are behind it."""
    zero = job.settings.zero
    trainer = PlannedTrainer(
        family=loaded.family,
        processor=loaded.processor,
        plan=plan,
        rows=rows,
        work=work,
        engine_wrapper=engine_wrapper(zero.stage, job.settings.method) if zero else None,
        model=model,
        args=training_arguments(job.settings, work, plan, steps, ranks.count),
    )
    trainer.remove_callback(PrinterCallback)
    on_gpu = trainer.args.device.type == "cuda"
    speed = matmul_flops_per_second(trainer.args.device) if on_gpu else None
    flops = Flops(model, loaded.family)
    recorder = Recorder(trainer, health, work.folder / "metrics.jsonl", flops, speed, ranks.first)
    if ranks.first:
        events = SummaryWriter(log_dir=str(work.folder / "events"), purge_step=done + 1 if done else None)
        trainer.add_callback(TensorBoardCallback(events))
    trainer.add_callback(recorder)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    return trainer, recorder


@contextmanager
def logged(path: Path, writes: bool) -> Iterator[None]:
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


def device_name(device: torch.device) -> str:
    """The GPU's name and memory, or the processor's."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name} ({properties.total_memory / GIB:.0f} GiB)"
    return f"cpu ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"
