"""What a finished run leaves: weights, log, metrics, summary, model card and manifest."""

import shutil
from dataclasses import asdict
from pathlib import Path

from syntune.artifacts.manifests import Manifest, Part, training_inputs, write_manifest
from syntune.artifacts.training_records import TrainingSummary
from syntune.files import atomic_directory, write_json
from syntune.settings.methods import METHODS
from syntune.training.card import model_card
from syntune.training.finished import Finished
from syntune.training.health import FAILED
from syntune.training.methods import write_trained
from syntune.training.rows import NO_ANSWER_LEFT
from syntune.training.work import PACKAGES
from syntune.training.zero import refuse_empty_tensors

_NOT_THE_SAME_TWICE = {"finetuning.log", "metrics.jsonl", "summary.json", "README.md"}
"""Files that hold times: they are no part of what the checkpoint is."""


def write_checkpoint(
    checkpoint: Path, manifest: Path, finished: Finished, dataset: Manifest, starts: list[Manifest]
) -> None:
    """Write the checkpoint's folder whole, then its manifest.

    Raises:
        RuntimeError: a tensor was saved empty.
    """
    job, ready = finished.job, finished.ready
    with atomic_directory(checkpoint) as folder:
        write_trained(ready.model, ready.start.family, job.settings.method, finished.tensors, folder)
        if METHODS[job.settings.method].stands_alone:
            ready.start.processor.save_pretrained(folder)
        for file in folder.glob("*.safetensors"):
            refuse_empty_tensors(file)
        for name in ("finetuning.log", "metrics.jsonl"):
            shutil.copyfile(finished.work / name, folder / name)
        shutil.copytree(finished.work / "events", folder / "events")
        summary = summarize(finished)
        write_json(folder / "summary.json", summary.as_written())
        (folder / "README.md").write_text(model_card(finished, summary, dataset, starts), encoding="utf-8")
    files = sorted(file for file in checkpoint.iterdir() if file.is_file() and file.name not in _NOT_THE_SAME_TWICE)
    losses = [line.loss for line in finished.steps]
    write_manifest(
        manifest,
        stage=job.stage,
        name=job.run,
        parts=[Part.from_file(file, manifest.parent) for file in files],
        packages=PACKAGES,
        rows_in=finished.counts["rows"],
        rows_out=finished.trained_rows,
        dropped=finished.dropped,
        inputs=training_inputs(dataset, starts),
        settings=job.settings.model_dump(mode="json"),
        details={
            "steps": len(losses),
            "first_loss": losses[0],
            "final_loss": losses[-1],
            "parameters": asdict(finished.ready.parameters),
            "rows_cut": finished.counts["cut"],
            "learned": finished.learned,
            "health": finished.verdicts,
            "warnings": finished.warnings,
            **({"validation": finished.validation.as_written()} if finished.validation else {}),
        },
    )


def summarize(finished: Finished) -> TrainingSummary:
    """Every figure that an analysis of the run needs."""
    settings, steps, machine = finished.job.settings, finished.steps, finished.machine
    samples, tokens = sum(line.samples for line in steps), sum(line.tokens for line in steps)
    shares = [line.mfu for line in steps if line.mfu is not None]
    return TrainingSummary(
        run=finished.job.run,
        method=settings.method,
        steps=len(steps),
        epochs=samples / finished.rows,
        rows=finished.trained_rows,
        rows_left_over=finished.rows - finished.trained_rows,
        masked_rows=finished.counts["dropped"].get(NO_ANSWER_LEFT, 0),
        rows_cut=finished.counts["cut"],
        samples=samples,
        tokens=tokens,
        supervised_tokens=sum(line.supervised_tokens for line in steps),
        seconds=round(finished.seconds, 2),
        wall_seconds_of_last_attempt=round(finished.wall_seconds, 2),
        samples_per_second=round(samples / finished.seconds, 3),
        tokens_per_second=round(tokens / finished.seconds, 1),
        mfu=sorted(shares)[len(shares) // 2] if shares else None,
        first_loss=steps[0].loss,
        final_loss=steps[-1].loss,
        mean_loss=sum(line.loss for line in steps) / len(steps),
        parameters=asdict(finished.ready.parameters),
        memory={"peak_gib": round(machine.peak_gib, 3), "kind": machine.memory_kind},
        device=machine.device,
        ranks=machine.ranks,
        precision=settings.precision,
        attention=finished.ready.attention,
        micro_batches=finished.micro_batches,
        zero=settings.zero.model_dump() if settings.zero else None,
        validation=finished.validation,
        verdicts=finished.verdicts,
        learned=finished.learned,
        healthy=all(check["status"] != FAILED for check in finished.verdicts),
        hyperparameters=settings.model_dump(mode="json"),
        resumed_from=finished.resumed_from,
    )
