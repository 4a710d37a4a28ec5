"""The model card of a trained run."""

from typing import Any

from syntune.artifacts.manifests import Manifest
from syntune.artifacts.training_records import TrainingSummary
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
    start = " + ".join(f"`{manifest.name}` ({manifest.content[:12]})" for manifest in starts)
    return f"""---
{library}pipeline_tag: image-text-to-text
tags:
{tags}---
# {finished.job.run}

Trained by Syntune: method `{settings.method}` on dataset `{dataset.name}`, from {start}.

{_loading(settings.method)}

## Data

`{dataset.name}`, content {dataset.content[:12]}: {finished.counts["rows"]:,} rows, \
{finished.trained_rows:,} trained on, {finished.counts["cut"]:,} cut at max_length, dropped: {_shown(finished.dropped)}.

## Training

{summary.steps} steps, {summary.samples:,} rows and {summary.supervised_tokens:,} supervised tokens in \
{summary.seconds:,.0f} s on {machine.ranks} x {machine.device}: {summary.samples_per_second} rows/s. \
Peak memory {summary.memory.peak_gib} GiB ({summary.memory.kind}). Loss {summary.first_loss:.4f} at the first step, \
{summary.final_loss:.4f} at the last. {parameters.trainable:,} of {parameters.total:,} parameters \
trained, {parameters.lora:,} of them LoRA. Attention: {finished.ready.attention}.

| hyperparameter | value |
|---|---|
{rows}

## Health

| check | status | found |
|---|---|---|
{checks}

Scores are not in this card: they belong to the report of the workflow that made it.
"""


def _loading(method: str) -> str:
    """How the files are read."""
    writes = METHODS[method].writes
    if writes == "adapter":
        return (
            "`adapter_model.safetensors` and `adapter_config.json` are PEFT's (`PeftModel.from_pretrained`); "
            "`non_lora_trainables.safetensors` holds what was trained beside the adapter."
        )
    if writes == "connector":
        return "`non_lora_trainables.safetensors` holds the connector, which alone was trained."
    return "A whole model: `from_pretrained` of its class."


def _shown(value: Any) -> str:
    """A value in a table's cell."""
    if isinstance(value, dict):
        return ", ".join(f"{number:,} {reason}" for reason, number in value.items()) or "none"
    return "none" if value is None else str(value).replace("|", "/")
