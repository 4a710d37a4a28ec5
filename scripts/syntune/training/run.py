"""A run, from its settings to its checkpoint."""

import logging
import time
from contextlib import ExitStack

import torch
from transformers import set_seed

from syntune.artifacts.fingerprints import training_fingerprint
from syntune.artifacts.manifests import read_manifest
from syntune.settings.methods import METHODS
from syntune.training.batching import plan_run
from syntune.training.device import device_name, find_device, memory_kind, peak_memory_gib
from syntune.training.engine import build_trainer
from syntune.training.failures import failures_explained
from syntune.training.finished import Finished, Machine
from syntune.training.health import checks_of_run
from syntune.training.job import Job
from syntune.training.learning import adapter_move
from syntune.training.log import log_plan, log_rehearsal, logged_to
from syntune.training.notice import Notice
from syntune.training.outputs import write_checkpoint
from syntune.training.owner import owned
from syntune.training.ranks import Ranks, leave_ranks
from syntune.training.ready import load_start, make_ready
from syntune.training.recorder import record
from syntune.training.rows import read_rows
from syntune.training.stopping import stop_on_notice
from syntune.training.tracker import tracked
from syntune.training.validation import validate
from syntune.training.work import Work
from syntune.training.zero import trained_tensors, unpartitioned

log = logging.getLogger("train")


def train_run(job: Job, notice: Notice | None = None) -> None:
    """Train a run, or go on with it where an earlier job of the same fingerprint stopped.

    Args:
        job: what to train.
        notice: what is told that this job's time is up; None where nothing is.

    Raises:
        UserError: the run cannot be trained as it is set, it was not healthy, or it stopped on a notice.
    """
    settings, ranks = job.settings, Ranks.here()
    device = find_device(settings, ranks)
    torch.set_num_threads(settings.threads)
    dataset = read_manifest(job.dataset)
    starts = [read_manifest(path) for path in job.start_manifests]
    contents = [start.content for start in starts]
    identity = training_fingerprint(settings, dataset.content, contents, layout=False)
    work = Work(job.work / identity, ranks.layout(settings))
    with ExitStack() as stack:
        if ranks.first:
            # ranks may outlive the command that started them and holds the run
            stack.enter_context(owned(work.folder / "training.lock"))
            work.clean()
        stack.enter_context(logged_to(work.folder / "finetuning.log", ranks.first))
        stack.enter_context(failures_explained(job, ranks, work.folder))
        log.info("run %s, fingerprint %s, on %s", job.run, identity, device_name(device))
        is_random = len(starts) == 1 and starts[0].settings.get("source") == "tiny"
        finished = _train(job, notice or Notice(), work, ranks, device, is_random)
        leave_ranks()  # here, where nothing holds the trainer any more
        log.info("done: %s", ", ".join(f"{check['name']} {check['status']}" for check in finished.verdicts))
    if ranks.first:
        write_checkpoint(job.checkpoint, job.manifest, finished, dataset, starts)


def _train(job: Job, notice: Notice, work: Work, ranks: Ranks, device: torch.device, is_random: bool) -> Finished:
    """Everything between reading and writing; ``is_random``: the start's weights are, so that it can only guess."""
    settings = job.settings
    set_seed(settings.random_seed)
    start = load_start(job.starts, settings)
    rows = read_rows(job.dataset, start.processor, settings, work.folder / "tokens", ranks)
    index = rows.index
    plan = plan_run(job, index.lengths, index.images, ranks.count, padded=not start.family.packs_rows)
    vocabulary = start.model.get_output_embeddings().weight.shape[0]
    health = checks_of_run(settings, plan.steps, index, vocabulary, is_random)

    ready = make_ready(start, settings, job.starts[-1].as_posix(), device, ranks.count)
    log_plan(settings, plan, ready, health.warn_of_few(plan.steps_of_run))

    checkpoint, done = work.latest(), 0
    if checkpoint:
        done = int(checkpoint.name.rpartition("-")[2])
        log.info("going on after step %d, from %s", done, checkpoint)
    trainer = build_trainer(ready, rows, plan, settings, work)
    stopping = stop_on_notice(trainer, notice)
    validator = None
    if job.holdout:
        held_out = read_rows(job.holdout, start.processor, settings, work.folder / "holdout-tokens", ranks)
        validator = validate(trainer, held_out, job, work.folder, done, ranks.first)
    recorder = record(trainer, health, work.folder, done, ranks.first, validator)
    begun = time.perf_counter()
    with unpartitioned(ready.model, ready.unpartitioned, device), tracked(job, recorder):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    stopping.leave_if_stopped(plan.steps)

    tensors = trained_tensors(ready.model, frozen_too=METHODS[settings.method].stands_alone)
    if job.rehearsed_steps and ranks.first:
        log_rehearsal(recorder.steps[-1].seconds, device, plan.steps_of_run)
    health.at_end({name: float(tensor.abs().max()) for name, tensor in tensors.items() if ".lora_B." in name})
    if not job.rehearses:
        losses = [line.loss for line in validator.losses] if validator else []
        health.learned(adapter_move(tensors), losses)
    return Finished(
        job=job,
        ready=ready,
        tensors=tensors,
        counts=index.counts,
        rows=len(index),
        trained_rows=plan.step_plan.taken(len(recorder.steps)),
        micro_batches=plan.step_plan.micro_batches,
        steps=recorder.steps,
        validation=validator.report() if validator else None,
        verdicts=health.report(),
        machine=Machine(device_name(device), ranks.count, peak_memory_gib(device), memory_kind(device)),
        wall_seconds=time.perf_counter() - begun,
        resumed_from=done or None,
        work=work.folder,
    )
