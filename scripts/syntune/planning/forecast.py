"""What a training will take: its memory, its steps and hours, and which setting would make it fit a smaller card."""

from dataclasses import asdict
from typing import Any

from syntune.errors import UserError
from syntune.planning.chips import CHIPS
from syntune.planning.memory import GIB, Memory, MicroBatch, peak_memory
from syntune.planning.rows import Rows
from syntune.planning.shapes import Shape
from syntune.planning.speed import Work, step_seconds
from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings

_PADDING = 1.15
"""Tokens of a batch with its padding, where rows are not packed: of the measured rows."""

_TILES = {"idefics3": 17, "smolvlm": 17}
"""Tiles that an image is cut into, at most, by models that do that: sixteen and the whole."""


def row_tokens(shape: Shape, settings: TrainedRunSettings, rows: Rows) -> float:
    """Mean tokens of a row, its images' included."""
    images = rows.images * shape.tokens_per_image * _TILES.get(shape.kind, 1)
    return max(1.0, min(float(settings.max_length), rows.text + images))


def heaviest(shape: Shape, settings: TrainedRunSettings, rows: Rows) -> MicroBatch:
    """The micro-batch that fills ``micro_batch_tokens``, of rows of the mean kind."""
    count = max(1, round(settings.micro_batch_tokens / row_tokens(shape, settings, rows)))
    padding = 1.0 if shape.family == "mgm" else _PADDING
    return MicroBatch(
        tokens=round(settings.micro_batch_tokens * padding),
        rows=count,
        images=round(count * rows.images * _TILES.get(shape.kind, 1)),
        supervised=round(count * rows.supervised),
    )


def step_work(shape: Shape, settings: TrainedRunSettings, rows: Rows) -> Work:
    """What a step does on each GPU."""
    length, gpus = row_tokens(shape, settings, rows), max(1, settings.gpus)
    own = settings.global_batch_size / gpus
    return Work(
        micro_batches=max(1, -(-int(own * length) // settings.micro_batch_tokens)),
        tokens=own * length * (1.0 if shape.family == "mgm" else _PADDING),
        squares=own * length**2,
        rows=own,
        images=own * rows.images * _TILES.get(shape.kind, 1),
        supervised=own * rows.supervised,
    )


def steps_of(settings: TrainedRunSettings, rows: Rows) -> int | None:
    """Optimizer steps; None where the number of rows is not known."""
    if settings.max_steps is not None:
        return settings.max_steps
    return None if rows.number is None else int(rows.number * settings.epochs) // settings.global_batch_size


def memory_of(shape: Shape, settings: TrainedRunSettings, rows: Rows) -> Memory:
    """Peak memory of a training, on each of its GPUs."""
    return peak_memory(shape, settings, heaviest(shape, settings, rows))


def not_measured(settings: TrainedRunSettings) -> list[str]:
    """What of a training was in none of the trainings that the formulas were held against."""
    cases = {
        "several GPUs": settings.gpus > 1,
        "zero.offload": settings.zero is not None and settings.zero.offload,
        "base_precision": settings.base_precision != "bf16",
        "train_vision": settings.train_vision,
        "lora.targets": settings.lora.targets is not None,
    }
    return [told for told, is_so in cases.items() if is_so]


def memory_parts(memory: Memory) -> dict[str, float]:
    """GiB by part."""
    return {name: round(value / GIB, 3) for name, value in asdict(memory).items()}


def hours_of(shape: Shape, settings: TrainedRunSettings, rows: Rows, steps: int) -> dict[str, float]:
    """Hours of a training, by the name of a GPU."""
    work = step_work(shape, settings, rows)
    return {chip.name: steps * step_seconds(shape, settings, work, chip) / 3600 for chip in CHIPS}


def remedies(shape: Shape, settings: TrainedRunSettings, rows: Rows, gib: float) -> list[str]:
    """The settings that would make a training fit so many GiB, each with what it then needs and costs in time."""
    tries: list[tuple[str, dict[str, Any]]] = []
    if not settings.gradient_checkpointing:
        tries.append(("gradient_checkpointing: true", {"gradient_checkpointing": True}))
    if settings.micro_batch_tokens > settings.max_length:
        tries.append((f"micro_batch_tokens: {settings.max_length}", {"micro_batch_tokens": settings.max_length}))
    if (
        settings.method == "lora"
        and settings.base_precision == "bf16"
        and not (settings.zero and settings.zero.stage == 3)
    ):
        tries.append(("method: qlora (another result: the base is rounded to 4 bits)", {"method": "qlora"}))
    if METHODS[settings.method].writes == "model" and not (settings.zero and settings.zero.offload):
        tries.append(("zero: {stage: 2, offload: true}", {"zero": {"stage": 2, "offload": True}}))
    every_change = {key: value for _, change in tries for key, value in change.items()}
    together = (" with ".join(told for told, _ in tries), every_change)
    return _fitting(shape, settings, rows, gib, tries) or _fitting(shape, settings, rows, gib, [together])


def _fitting(
    shape: Shape, settings: TrainedRunSettings, rows: Rows, gib: float, tries: list[tuple[str, dict[str, Any]]]
) -> list[str]:
    """Those of some changes of settings that fit, each told with the memory and the time that it takes."""
    before = step_seconds(shape, settings, step_work(shape, settings, rows), CHIPS[0])
    found = []
    for told, change in tries:
        changed = TrainedRunSettings.model_validate(settings.model_dump() | change)
        needed = memory_of(shape, changed, rows).total / GIB
        if needed > gib:
            continue
        after = step_seconds(shape, changed, step_work(shape, changed, rows), CHIPS[0])
        times = f"{after / before:.1f} times the time on {CHIPS[0].name}"
        offloads = changed.zero is not None and changed.zero.offload
        found.append(f"{told} ({needed:.1f} GiB, {'slower; not measured' if offloads else times})")
    return found


def refuse_too_large(run: str, shape: Shape, settings: TrainedRunSettings, rows: Rows, gib: float) -> None:
    """Check that a training is predicted to fit a card of so many GiB.

    Raises:
        UserError: it is not; the message names the settings that would make it fit.
    """
    needed = memory_of(shape, settings, rows).total / GIB
    if needed <= gib:
        return
    found = remedies(shape, settings, rows, gib)
    advice = f"fits with {', or '.join(found)}" if found else "no setting tried makes it fit; take a larger card"
    raise UserError(
        f"runs.{run}: needs about {needed:.1f} GiB on each GPU, and plan.gpu_memory_gib is {gib:g}: {advice}; "
        "snakemake plan shows the parts, and gpu_memory_gib: null refuses nothing"
    )
