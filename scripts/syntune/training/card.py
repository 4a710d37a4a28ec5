"""The model card of a trained run."""

from typing import Any

from syntune.artifacts.manifests import Manifest
from syntune.artifacts.training_records import TrainingSummary
from syntune.models import usage
from syntune.settings.flattening import flat
from syntune.settings.methods import METHODS
from syntune.training.finished import Finished


def model_card(finished: Finished, summary: TrainingSummary, dataset: Manifest, starts: list[Manifest]) -> str:
    """A README in the hub's form: what it is, of what and how it was made, and how to load it.

    Args:
        finished: the run.
        summary: its figures.
        dataset: manifest of what it was trained on.
        starts: manifests of what it was trained from.
    """
    settings, parameters, machine = finished.job.settings, finished.ready.parameters, finished.machine
    adapter = METHODS[settings.method].writes == "adapter"
    library = "library_name: peft\n" if adapter else "library_name: transformers\n"
    tags = "".join(f"- {tag}\n" for tag in ("image-text-to-text", "syntune", *([settings.method] if adapter else [])))
    rows = "\n".join(f"| {key} | {_shown(value)} |" for key, value in flat(settings.model_dump(mode="json")).items())
    checks = "\n".join(f"| {check['name']} | {check['status']} | {check['detail']} |" for check in finished.verdicts)
    origin = usage.origin_on_hub(starts[0])
    based = f"base_model: {origin[0]}\n" if origin else ""
    start = " + ".join(f"`{manifest.name}` ({manifest.content[:12]})" for manifest in starts)
    return f"""---
{library}{based}pipeline_tag: image-text-to-text
tags:
{tags}---
# {finished.job.run}

Trained by Syntune: method `{settings.method}` on dataset `{dataset.name}`, from {start}.

## Use

{_use(finished, starts)}

## Data

`{dataset.name}`, content {dataset.content[:12]}: {finished.counts["rows"]:,} rows, \
{finished.trained_rows:,} trained on, {finished.counts["cut"]:,} cut at max_length, dropped: {_shown(finished.dropped)}.

## Training

{summary.steps} steps, {summary.samples:,} rows and {summary.supervised_tokens:,} supervised tokens in \
{summary.seconds:,.0f} s on {machine.ranks} x {machine.device}: {summary.samples_per_second} rows/s. \
Peak memory {summary.memory.peak_gib} GiB ({summary.memory.kind}). Loss {summary.first_loss:.4f} at the first step, \
{summary.final_loss:.4f} at the last. {_validated(finished)}{parameters.trainable:,} of {parameters.total:,} \
parameters trained, {parameters.lora:,} of them LoRA. Attention: {finished.ready.attention}.

| hyperparameter | value |
|---|---|
{rows}

## Health

| check | status | found |
|---|---|---|
{checks}

Scores are not in this card: they belong to the report of the workflow that made it.
"""


def _use(finished: Finished, starts: list[Manifest]) -> str:
    """How to load what the folder holds, and how to make one checkpoint of it and what it was trained on."""
    job, family = finished.job, finished.ready.start.family
    writes, own = METHODS[job.settings.method].writes, job.checkpoint.as_posix()
    chain = [] if writes == "model" else [folder.as_posix() for folder in job.starts]
    parts = [f"Within the workflow: `tools/in-env eval python scripts/ask.py {job.run} picture.jpg 'A question?'`."]
    if not family.peft_loads:
        parts += [
            "Others load it after an export, in the layout of the reference MGM:",
            usage.block("sh", usage.export([*chain, own], job.run, "reference")),
        ]
        return "\n\n".join(parts)
    if not chain:
        parts += ["It is a whole model:", usage.block("python", usage.load_whole(own))]
    elif writes == "adapter" and len(chain) == 1:
        base, revision = usage.origin_on_hub(starts[0]) or (chain[0], None)
        parts += [
            "It is a PEFT adapter, which holds the connector if that was trained, too:",
            usage.block("python", usage.load_adapter(base, revision, own)),
        ]
    if chain:
        parts += [
            "Merged into one checkpoint, for transformers and vLLM:",
            usage.block("sh", f"{usage.export([*chain, own], job.run)}\n{usage.serve(job.run)}"),
        ]
    parts += ["On the hub:", usage.block("sh", usage.upload(own))]
    return "\n\n".join(parts)


def _validated(finished: Finished) -> str:
    """What the held-out rows said."""
    if (found := finished.validation) is None:
        return ""
    first, last = found.losses[0], found.losses[-1]
    ended = " The run ended there, since it fell no more." if found.stopped_early else ""
    return (
        f"Validation loss on {found.rows:,} held-out rows: {first.loss:.4f} before, {last.loss:.4f} after step "
        f"{last.step}, lowest after step {found.best_step} ({found.best_loss:.4f}).{ended} "
    )


def _shown(value: Any) -> str:
    """A value in a table's cell."""
    if isinstance(value, dict):
        return ", ".join(f"{number:,} {reason}" for reason, number in value.items()) or "none"
    return "none" if value is None else str(value).replace("|", "/")
