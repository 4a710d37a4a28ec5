"""Triton kernels of the frozen vision part. Imported on a GPU only: PyTorch's CPU builds come without Triton."""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl

_CHANNELS, _WARPS = 32, 4
"""Channels of a tile of the mining, and its warps."""

# ------------------------------------------------------------------------------------------------------------- mining


def mine(query: torch.Tensor, stages: Sequence[torch.Tensor], epsilon: float) -> torch.Tensor:
    """What each query finds among the normalised features of its window, which are never put side by side.

    With x_j the stages' features at position j of the first stage's grid, resized to it bilinearly, and x'_j the same
    normalised over all channels, it is sum_j softmax_j(query . x'_j) x'_j over the positions j of a patch's window.
    Everything but the inputs is in float32. The gradient of ``query`` is exact; ``stages`` get none.

    Args:
        query: [images, patches, D], of patches row by row of a square grid.
        stages: [images, channels, side, side] each, their channels adding up to D, the sides falling by powers of two;
            the first side is the grid's times a power of two.
        epsilon: of the normalisation.

    Returns:
        [images, patches, D], in the dtype of the stages.
    """
    return _Mine.apply(query, epsilon, *(stage.permute(0, 2, 3, 1).contiguous() for stage in stages))


class _Mine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, epsilon: float, *stages: torch.Tensor) -> torch.Tensor:
        grid = round(query.shape[1] ** 0.5)
        weights = query.new_empty(*query.shape[:2], (stages[0].shape[1] // grid) ** 2, dtype=torch.float32)
        mined = _launch(query, weights, stages, epsilon, stages[0].dtype, backward=False)
        ctx.save_for_backward(weights, *stages)
        ctx.epsilon, ctx.dtype = epsilon, query.dtype
        return mined

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        weights, *stages = ctx.saved_tensors
        of_query = _launch(gradient, weights, stages, ctx.epsilon, ctx.dtype, backward=True)
        return of_query, None, *(None for _ in stages)


def _launch(
    vectors: torch.Tensor,
    weights: torch.Tensor,
    stages: Sequence[torch.Tensor],
    epsilon: float,
    dtype: torch.dtype,
    backward: bool,
) -> torch.Tensor:
    """Run :func:`_mine` over all patches."""
    images, patches, _ = vectors.shape
    grid = round(patches**0.5)
    out = torch.empty(vectors.shape, dtype=dtype, device=vectors.device)
    _mine[(patches, images)](
        vectors.contiguous(), weights, out, *stages, epsilon, *(stage.shape[1] for stage in stages), grid,
        *(stage.shape[3] for stage in stages), *(stages[0].shape[1] // stage.shape[1] for stage in stages[1:]),
        WINDOW=stages[0].shape[1] // grid, BACKWARD=backward, BLOCK=_CHANNELS, num_warps=_WARPS,
    )  # fmt: skip
    return out


@triton.jit
def _resized(stage, image, y, x, side, channel, CHANNELS: tl.constexpr, FACTOR: tl.constexpr):
    """Features [positions, channels] at y and x of a grid FACTOR times as fine: bilinear, corners not aligned."""
    inside = channel[None, :] < CHANNELS
    here = stage + image.to(tl.int64) * side * side * CHANNELS + channel[None, :]
    if FACTOR == 1:
        return tl.load(here + ((y * side + x) * CHANNELS)[:, None], inside, 0.0).to(tl.float32)
    else:
        down, right = tl.maximum((y + 0.5) / FACTOR - 0.5, 0.0), tl.maximum((x + 0.5) / FACTOR - 0.5, 0.0)
        top, left = down.to(tl.int32), right.to(tl.int32)
        bottom, end = tl.minimum(top + 1, side - 1), tl.minimum(left + 1, side - 1)
        down, right = (down - top)[:, None], (right - left)[:, None]
        a = tl.load(here + ((top * side + left) * CHANNELS)[:, None], inside, 0.0).to(tl.float32)
        b = tl.load(here + ((top * side + end) * CHANNELS)[:, None], inside, 0.0).to(tl.float32)
        c = tl.load(here + ((bottom * side + left) * CHANNELS)[:, None], inside, 0.0).to(tl.float32)
        d = tl.load(here + ((bottom * side + end) * CHANNELS)[:, None], inside, 0.0).to(tl.float32)
        upper, lower = a + right * (b - a), c + right * (d - c)
        return upper + down * (lower - upper)


@triton.jit
def _measured(
    total, square, dot, vector_total, vector, stage, image, y, x, side,
    CHANNELS: tl.constexpr, FACTOR: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add a stage's channels to the positions' sums, sums of squares and products with the vector."""
    for first in range(0, CHANNELS, BLOCK):
        channel = first + tl.arange(0, BLOCK)
        features = _resized(stage, image, y, x, side, channel, CHANNELS, FACTOR)
        part = tl.load(vector + channel, channel < CHANNELS, 0.0).to(tl.float32)
        total += features
        square += features * features
        dot += features * part[None, :]
        vector_total += part
    return total, square, dot, vector_total


@triton.jit
def _pooled(
    out, share, less, stage, image, y, x, side,
    CHANNELS: tl.constexpr, FACTOR: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the sum of the positions' features, each times its share, less a constant."""
    for first in range(0, CHANNELS, BLOCK):
        channel = first + tl.arange(0, BLOCK)
        features = _resized(stage, image, y, x, side, channel, CHANNELS, FACTOR)
        tl.store(out + channel, tl.sum(features * share[:, None], 0) - less, channel < CHANNELS)


@triton.jit
def _mine(
    vectors, weights, out, stage_1, stage_2, stage_3, stage_4, epsilon, side_1, side_2, side_3, side_4, grid,
    C_1: tl.constexpr, C_2: tl.constexpr, C_3: tl.constexpr, C_4: tl.constexpr,
    F_2: tl.constexpr, F_3: tl.constexpr, F_4: tl.constexpr,
    WINDOW: tl.constexpr, BACKWARD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One patch of one image, in two passes over its window: the positions' weights, then their weighted sum.

    Forward, vectors are queries and the weights are written. Backward, vectors are gradients of what was found: the
    gradient of a query is the same sum, with the softmax's derivative for weights.
    """
    D: tl.constexpr = C_1 + C_2 + C_3 + C_4
    POSITIONS: tl.constexpr = WINDOW * WINDOW
    patch, image = tl.program_id(0), tl.program_id(1)
    row = (image * grid * grid + patch).to(tl.int64)
    position = tl.arange(0, POSITIONS)
    y, x = patch // grid * WINDOW + position // WINDOW, patch % grid * WINDOW + position % WINDOW
    vector = vectors + row * D
    total = tl.zeros((POSITIONS, BLOCK), tl.float32)
    square, dot = tl.zeros_like(total), tl.zeros_like(total)
    part = tl.zeros((BLOCK,), tl.float32)
    total, square, dot, part = _measured(
        total, square, dot, part, vector, stage_1, image, y, x, side_1, C_1, 1, BLOCK
    )  # fmt: skip
    total, square, dot, part = _measured(
        total, square, dot, part, vector + C_1, stage_2, image, y, x, side_2, C_2, F_2, BLOCK
    )  # fmt: skip
    total, square, dot, part = _measured(
        total, square, dot, part, vector + C_1 + C_2, stage_3, image, y, x, side_3, C_3, F_3, BLOCK
    )  # fmt: skip
    total, square, dot, part = _measured(
        total, square, dot, part, vector + C_1 + C_2 + C_3, stage_4, image, y, x, side_4, C_4, F_4, BLOCK
    )  # fmt: skip
    mean = tl.sum(total, 1) / D
    scale = tl.rsqrt(tl.maximum(tl.sum(square, 1) / D - mean * mean, 0.0) + epsilon)
    product = scale * (tl.sum(dot, 1) - mean * tl.sum(part, 0))
    at = weights + row * POSITIONS + position
    if BACKWARD:
        weight = tl.load(at)
        weight = weight * (product - tl.sum(weight * product, 0))
    else:
        weight = tl.exp(product - tl.max(product, 0))
        weight = weight / tl.sum(weight, 0)
        tl.store(at, weight)
    share = weight * scale
    less = tl.sum(share * mean, 0)
    found = out + row * D
    _pooled(found, share, less, stage_1, image, y, x, side_1, C_1, 1, BLOCK)
    _pooled(found + C_1, share, less, stage_2, image, y, x, side_2, C_2, F_2, BLOCK)
    _pooled(found + C_1 + C_2, share, less, stage_3, image, y, x, side_3, C_3, F_3, BLOCK)
    _pooled(found + C_1 + C_2 + C_3, share, less, stage_4, image, y, x, side_4, C_4, F_4, BLOCK)


# ------------------------------------------------------------------------------------------------ depthwise convolution

_COLUMNS, _BLOCK, _BLOCK_WARPS = 16, 64, 4
"""Columns and channels of a tile, which has four rows, and its warps."""


def depthwise_7x7(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A depthwise convolution of kernel 7 and padding 3, without a gradient; accumulated in float32.

    Args:
        x: [images, channels, height, width], channels last.
        weight: [channels, 1, 7, 7].
        bias: [channels].

    Returns:
        Like ``x``.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    images, channels, height, width = x.shape
    taps = weight.view(channels, 49).t().contiguous()
    out = torch.empty_like(x, memory_format=torch.channels_last)
    grid = (triton.cdiv(width, _COLUMNS) * triton.cdiv(height, 4), triton.cdiv(channels, _BLOCK), images)
    _depthwise_7x7[grid](
        x, taps, bias, out, height, width, channels, COLUMNS=_COLUMNS, BLOCK=_BLOCK, num_warps=_BLOCK_WARPS
    )
    return out


@triton.jit
def _depthwise_7x7(x, taps, bias, out, height, width, channels, COLUMNS: tl.constexpr, BLOCK: tl.constexpr):
    """Four rows at once: each input is read once for all that it adds to."""
    across = tl.cdiv(width, COLUMNS)
    row = tl.program_id(0) // across * 4
    column = tl.program_id(0) % across * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    image = tl.program_id(2).to(tl.int64) * height * width * channels
    known = channel < channels
    first = tl.zeros((COLUMNS, BLOCK), tl.float32) + tl.load(bias + channel, known, 0.0).to(tl.float32)[None, :]
    second, third, fourth = first, first, first
    for right in range(7):  # not unrolled: a column of taps stays in registers, all 49 would not
        place = column + right - 3
        there = ((place >= 0) & (place < width))[:, None] & known[None, :]
        at = x + image + ((row - 3) * width + place)[:, None] * channels + channel[None, :]
        tap = taps + right * channels + channel
        for down in tl.static_range(10):
            inside = there & (row + down >= 3) & (row + down < height + 3)
            value = tl.load(at + down * width * channels, inside, 0.0).to(tl.float32)
            if down < 7:
                first += value * _tap(tap, down, known, channels)
            if down >= 1 and down < 8:
                second += value * _tap(tap, down - 1, known, channels)
            if down >= 2 and down < 9:
                third += value * _tap(tap, down - 2, known, channels)
            if down >= 3:
                fourth += value * _tap(tap, down - 3, known, channels)
    at = image + (row * width + column)[:, None] * channels + channel[None, :]
    inside = (column < width)[:, None] & known[None, :]
    tl.store(out + at, first, inside)
    tl.store(out + at + width * channels, second, inside & (row + 1 < height))
    tl.store(out + at + 2 * width * channels, third, inside & (row + 2 < height))
    tl.store(out + at + 3 * width * channels, fourth, inside & (row + 3 < height))


@triton.jit
def _tap(tap, down, known, channels):
    """A weight of a column of the kernel, of each channel."""
    return tl.load(tap + down * 7 * channels, known, 0.0).to(tl.float32)[None, :]
