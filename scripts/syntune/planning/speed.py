"""How long an optimizer step takes on a named GPU, from what must be multiplied and moved.

Arithmetic is counted as in :mod:`syntune.training.flops` (Kaplan et al., "Scaling Laws for Neural Language Models",
2020, section 2.1), with recomputation, padding and vision added. What a layer moves through memory is a multiple of
what it keeps. The constants were set by the runs that docs/reference/plan.md names, on an H100 and an H200; on another
card they are scaled by its data sheet.
"""

from dataclasses import dataclass

from syntune.planning.chips import Chip
from syntune.planning.memory import (
    MicroBatch,
    kept_by_layer,
    records_layers,
    takes_fused_layers,
    trained_parameters,
    wide_weights,
)
from syntune.planning.shapes import Shape
from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings

_MULTIPLIES = 0.64
"""Share of the data sheet's speed that the layers' products reach."""

_EIGHT_BITS = {"bf16": 1.0, "fp8": 1.7, "int8": 1.2}
"""Times as fast as in bfloat16 the products with wide frozen linears are, quantising included; measured on an H100."""

_SEES = 0.26
"""That of the vision towers."""

_MOVES = 0.75
"""Share of the data sheet's memory bandwidth that elementwise work reaches."""

_MOVED_FUSED, _MOVED = 6, 12
"""Bytes that a layer moves, forward and backward, for each that it keeps."""

_PYTHON, _PYTHON_IN_4_BITS, _PYTHON_IN_DEEPSPEED, _PYTHON_PLAIN = 0.007, 0.0145, 0.0125, 0.0033
"""Seconds that Python needs for a layer of a micro-batch, forward and backward, with adapters, with adapters on weights
in 4 bits, with adapters under DeepSpeed, and without adapters: the GPU waits, if it is faster."""

_RECORDED = 0.028
"""Seconds a micro-batch that recorded layers take beside that: adapters' kernels, too small to fill a GPU, and gaps."""

_STEP, _STEP_OF_ZERO_3 = 0.02, 0.05
"""Seconds between the micro-batches of two steps: the update, the log; and more of them under ZeRO-3."""

_UPDATED, _UPDATED_BY_DEEPSPEED = 170, 480
"""Bytes that a step moves for each trained parameter: sums of gradients, clipping, the update, narrower copies."""

_WINDOW = 80e-6
"""Seconds of a window's attention in the tower of Qwen2.5-VL, which goes through its windows one by one."""

_WINDOW_BACKWARD = 7
"""Times as long, where gradients go through the tower too."""


@dataclass(frozen=True)
class Work:
    """What an optimizer step does, on one GPU of several that share it.

    Attributes:
        micro_batches: how many.
        tokens: in all of them, padding included.
        squares: sum of the squares of the rows' lengths.
        rows: how many.
        images: in these.
        supervised: tokens.
    """

    micro_batches: int
    tokens: float
    squares: float
    rows: float
    images: float
    supervised: float


def step_flops(shape: Shape, settings: TrainedRunSettings, work: Work) -> float:
    """Operations of a step: 2 a weight and token forward, 2 for each gradient that is needed, 2 for recomputation."""
    text, again = shape.text, 2 if settings.gradient_checkpointing else 0
    writes = METHODS[settings.method].writes
    passes = (6 if writes == "model" else 4) + again
    adapter = (6 + again) * text.adapter(settings.lora.r) if writes == "adapter" else 0
    attention = (6 + again) * text.layers * text.queries * work.squares
    head = (6 if writes == "model" else 4) * text.embedding * work.supervised
    return (passes * text.linear_weights + adapter) * work.tokens + attention + head


def step_seconds(shape: Shape, settings: TrainedRunSettings, work: Work, chip: Chip) -> float:
    """Seconds of a step on ``chip``, in bfloat16."""
    again = 4 / 3 if settings.gradient_checkpointing else 1
    slower = 1 if settings.precision == "bf16" else 4  # TF32 tiles, twice the bytes
    wide = (6 if settings.gradient_checkpointing else 4) * wide_weights(shape) * work.tokens
    flops = step_flops(shape, settings, work) - wide * (1 - 1 / _EIGHT_BITS[settings.base_precision])
    vision = work.images * shape.vision_flops
    tokens = max(1, round(work.tokens / work.micro_batches))
    batch = MicroBatch(tokens, max(1, round(work.rows / work.micro_batches)), 0, 0)
    times = _MOVED_FUSED if takes_fused_layers(shape, settings) else _MOVED
    moved = work.micro_batches * shape.text.layers * kept_by_layer(shape, settings, batch) * times * again
    on_gpu = slower * (flops / _MULTIPLIES + vision / _SEES) / chip.flops + moved / (_MOVES * chip.bandwidth)
    bytes_updated = _UPDATED_BY_DEEPSPEED if settings.zero else _UPDATED
    updated = bytes_updated * sum(trained_parameters(shape, settings).values()) / (_MOVES * chip.bandwidth)
    between = _STEP + (_STEP_OF_ZERO_3 if settings.zero and settings.zero.stage == 3 else 0)
    if records_layers(shape, settings):
        layers = on_gpu + work.micro_batches * _RECORDED
    else:
        layers = max(on_gpu, work.micro_batches * shape.text.layers * _python_a_layer(settings))
    return layers + updated + between + _windows(shape, settings, work)


def _python_a_layer(settings: TrainedRunSettings) -> float:
    """Seconds of Python for each layer and micro-batch."""
    method = METHODS[settings.method]
    if method.writes != "adapter":
        return _PYTHON_PLAIN
    if method.quantized:
        return _PYTHON_IN_4_BITS
    return _PYTHON_IN_DEEPSPEED if settings.zero else _PYTHON


def _windows(shape: Shape, settings: TrainedRunSettings, work: Work) -> float:
    """Seconds that Qwen2.5-VL's windows cost, 8 patches a side, in all but four of its layers."""
    if shape.kind != "qwen2_5_vl":
        return 0.0
    through = _WINDOW_BACKWARD if settings.gradient_checkpointing else 1
    return work.images * shape.tower.tokens / 64 * (shape.tower.layers - 4) * _WINDOW * through
