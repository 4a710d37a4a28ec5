"""What a finished run leaves: weights, log, metrics, summary, model card and manifest."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from syntune.artifacts.manifests import Manifest, Part, training_inputs, write_manifest
from syntune.files import atomic_directory, write_json
from syntune.models.checkpoints import Loaded
from syntune.settings.runs import TrainedRunSettings
from syntune.training.card import model_card
from syntune.training.methods import Parameters, write_weights
from syntune.training.rows import NO_ANSWER_LEFT
from syntune.training.work import PACKAGES
from syntune.training.zero import refuse_empty_tensors

_NOT_THE_SAME_TWICE = {"finetuning.log", "metrics.jsonl", "summary.json", "README.md"}
"""Files that hold times: they are no part of what the checkpoint is."""


@dataclass(frozen=True)
class Finished:
    """A run that was trained and is healthy.

    Attributes:
        run: the run's name.
        stage: the rule's name.
        settings: the run's.
        model: as it was trained.
        loaded: what it was made of.
        tensors: the trained parameters, whole; for method full all parameters.
        steps: the lines of metrics.
        counts: rows read, dropped and cut.
        rows: rows trained on.
        parameters: their numbers.
        verdicts: of the health checks.
        seconds: in optimizer steps, over all attempts.
        wall_seconds: of this attempt's training.
        peak_gib: memory.
        memory_kind: what was measured.
        device: its name.
        ranks: processes.
        attention: its name.
        micro_batches: per rank and step.
        resumed_from: the step that this attempt went on from.
        work: the work folder.
    """

    run: str
    stage: str
    settings: TrainedRunSettings
    model: nn.Module
    loaded: Loaded
    tensors: dict[str, torch.Tensor]
    steps: list[dict[str, Any]]
    counts: dict[str, Any]
    rows: int
    parameters: Parameters
    verdicts: list[dict[str, str]]
    seconds: float
    wall_seconds: float
    peak_gib: float
    memory_kind: str
    device: str
    ranks: int
    attention: str
    micro_batches: int
    resumed_from: int | None
    work: Path


def write_checkpoint(
    checkpoint: Path, manifest: Path, finished: Finished, dataset: Manifest, starts: list[Manifest]
) -> None:
    """Write the checkpoint's folder whole, then its manifest.

    Raises:
        RuntimeError: a tensor was saved empty.
    """
    with atomic_directory(checkpoint) as folder:
        write_weights(finished.model, finished.loaded.family, finished.settings.method, finished.tensors, folder)
        if finished.settings.method == "full":
            finished.loaded.processor.save_pretrained(folder)
        for file in folder.glob("*.safetensors"):
            refuse_empty_tensors(file)
        for name in ("finetuning.log", "metrics.jsonl"):
            shutil.copyfile(finished.work / name, folder / name)
        shutil.copytree(finished.work / "events", folder / "events")
        summary = summarize(finished)
        write_json(folder / "summary.json", summary)
        (folder / "README.md").write_text(model_card(finished, summary, dataset, starts), encoding="utf-8")
    files = sorted(file for file in checkpoint.iterdir() if file.is_file() and file.name not in _NOT_THE_SAME_TWICE)
    losses = [line["loss"] for line in finished.steps]
    dropped = finished.counts["dropped"]
    write_manifest(
        manifest,
        stage=finished.stage,
        name=finished.run,
        parts=[Part.of(file, manifest.parent) for file in files],
        packages=PACKAGES,
        rows_in=finished.counts["rows"],
        rows_out=finished.rows,
        dropped=dropped,
        inputs=training_inputs(dataset, starts),
        settings=finished.settings.model_dump(mode="json"),
        details={
            "steps": len(losses),
            "first_loss": losses[0],
            "final_loss": losses[-1],
            "parameters": asdict(finished.parameters),
            "rows_cut": finished.counts["cut"],
            "health": finished.verdicts,
        },
    )


def summarize(finished: Finished) -> dict[str, Any]:
    """Every figure that an analysis of the run needs."""
    settings, steps = finished.settings, finished.steps
    samples, tokens = sum(line["samples"] for line in steps), sum(line["tokens"] for line in steps)
    shares = [line["mfu"] for line in steps if "mfu" in line]
    return {
        "run": finished.run,
        "method": settings.method,
        "steps": len(steps),
        "epochs": samples / finished.rows,
        "rows": finished.rows,
        "masked_rows": finished.counts["dropped"].get(NO_ANSWER_LEFT, 0),
        "rows_cut": finished.counts["cut"],
        "samples": samples,
        "tokens": tokens,
        "supervised_tokens": sum(line["supervised_tokens"] for line in steps),
        "seconds": round(finished.seconds, 2),
        "wall_seconds_of_last_attempt": round(finished.wall_seconds, 2),
        "samples_per_second": round(samples / finished.seconds, 3),
        "tokens_per_second": round(tokens / finished.seconds, 1),
        "mfu": sorted(shares)[len(shares) // 2] if shares else None,
        "first_loss": steps[0]["loss"],
        "final_loss": steps[-1]["loss"],
        "mean_loss": sum(line["loss"] for line in steps) / len(steps),
        "parameters": asdict(finished.parameters),
        "memory": {"peak_gib": round(finished.peak_gib, 3), "kind": finished.memory_kind},
        "device": finished.device,
        "ranks": finished.ranks,
        "precision": settings.precision,
        "attention": finished.attention,
        "micro_batches": finished.micro_batches,
        "zero": settings.zero.model_dump() if settings.zero else None,
        "verdicts": finished.verdicts,
        "healthy": True,
        "hyperparameters": settings.model_dump(mode="json"),
        "resumed_from": finished.resumed_from,
    }
