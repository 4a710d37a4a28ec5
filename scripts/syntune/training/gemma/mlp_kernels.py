"""Triton kernels of Gemma's fused MLP. Imported on a GPU only: PyTorch's CPU builds come without Triton.

The masks of dropout are those of :mod:`syntune.training.dropout`, bit for bit.
"""

import torch
import triton
import triton.language as tl

from syntune.training.dropout import drop_threshold

_FORWARD, _BACKWARD = (16, 128, 4), (16, 128, 4)
"""Rows and columns of a tile, and its warps."""


@triton.jit
def _kept(place, seed, threshold):
    """Whether the elements at ``place`` (row times columns plus column, int32) are kept."""
    bits = (place + tl.load(seed)).to(tl.uint32, bitcast=True)
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D + tl.load(seed + 1).to(tl.uint32, bitcast=True)
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    bits = bits ^ (bits >> 16)
    return bits.to(tl.int32, bitcast=True) >= threshold


@triton.jit
def _gelu(x, TANH: tl.constexpr):
    """GELU and its derivative."""
    if TANH:
        inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        tanh = 2.0 / (1.0 + tl.exp(-2.0 * inner)) - 1.0
        value = 0.5 * x * (1.0 + tanh)
        slope = 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * 0.7978845608028654 * (1.0 + 0.134145 * x * x)
    else:
        share = 0.5 * (1.0 + tl.erf(x * 0.7071067811865476))
        value = x * share
        slope = share + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)
    return value, slope


@triton.jit
def _adapted(base, place, inside, low, up, row, column, rows, columns, scale, R: tl.constexpr, RANKS: tl.constexpr):
    """A tile of base + scale * low @ up', in float32: low [rows, R], up [columns, R]."""
    rank = tl.arange(0, RANKS)
    a = tl.load(low + row[:, None] * R + rank[None, :], (row[:, None] < rows) & (rank[None, :] < R), 0.0)
    b = tl.load(up + column[None, :] * R + rank[:, None], (column[None, :] < columns) & (rank[:, None] < R), 0.0)
    return tl.load(base + place, inside, 0.0).to(tl.float32) + scale * tl.dot(a, b)


@triton.jit
def _geglu_forward(
    gate, up, gate_low, up_low, gate_b, up_b, seed, h, h_dropped, rows, columns, scale, keep_scale, threshold,
    TANH: tl.constexpr, DROPS: tl.constexpr, R: tl.constexpr, RANKS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    place = row[:, None] * columns + column[None, :]
    e = _adapted(gate, place, inside, gate_low, gate_b, row, column, rows, columns, scale, R, RANKS)
    g = _adapted(up, place, inside, up_low, up_b, row, column, rows, columns, scale, R, RANKS)
    value, _ = _gelu(e, TANH)
    product = value * g
    tl.store(h + place, product, inside)
    if DROPS:
        kept = _kept(place.to(tl.int32), seed, threshold)
        tl.store(h_dropped + place, tl.where(kept, product * keep_scale, 0.0), inside)


@triton.jit
def _geglu_backward(
    d, gate, up, gate_low, up_low, gate_b, up_b, down_low, down_a, seed, rows, columns, scale, keep_scale, threshold,
    TANH: tl.constexpr, DROPS: tl.constexpr, R: tl.constexpr, RANKS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    place = row[:, None] * columns + column[None, :]
    e = _adapted(gate, place, inside, gate_low, gate_b, row, column, rows, columns, scale, R, RANKS)
    g = _adapted(up, place, inside, up_low, up_b, row, column, rows, columns, scale, R, RANKS)
    rank = tl.arange(0, RANKS)
    low = tl.load(down_low + row[:, None] * R + rank[None, :], (row[:, None] < rows) & (rank[None, :] < R), 0.0)
    a = tl.load(
        down_a + rank[:, None] * columns + column[None, :], (rank[:, None] < R) & (column[None, :] < columns), 0.0
    )
    through_adapter = tl.dot(low, a)
    value, slope = _gelu(e, TANH)
    product = value * g
    if DROPS:
        kept = _kept(place.to(tl.int32), seed, threshold)
        through_adapter = tl.where(kept, through_adapter * keep_scale, 0.0)
        product = tl.where(kept, product * keep_scale, 0.0)
    upstream = tl.load(d + place, inside, 0.0).to(tl.float32) + through_adapter
    tl.store(d + place, product, inside)
    tl.store(gate + place, upstream * g * slope, inside)
    tl.store(up + place, upstream * value, inside)


@triton.jit
def _dropped(x, seed, output, count, keep_scale, threshold, SIZE: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    value = tl.load(x + place, place < count, 0.0).to(tl.float32)
    kept = _kept(place.to(tl.int32), seed, threshold)
    tl.store(output + place, tl.where(kept, value * keep_scale, 0.0), place < count)


def geglu_forward(
    gate: torch.Tensor,
    up: torch.Tensor,
    gate_low: torch.Tensor,
    up_low: torch.Tensor,
    gate_b: torch.Tensor,
    up_b: torch.Tensor,
    scale: float,
    tanh: bool,
    seed: torch.Tensor | None,
    dropout: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """See :func:`syntune.training.gemma.mlp.geglu_forward`."""
    h = torch.empty_like(gate)
    h_dropped = torch.empty_like(gate) if dropout else h
    _geglu_forward[_grid(gate, _FORWARD)](
        gate, up, gate_low, up_low, gate_b, up_b, gate if seed is None else seed, h, h_dropped, *gate.shape, scale,
        1 / (1 - dropout), drop_threshold(dropout), **_constants(tanh, dropout, gate_b.shape[1], _FORWARD),
    )  # fmt: skip
    return h, h_dropped


def geglu_backward_(
    d: torch.Tensor,
    gate: torch.Tensor,
    up: torch.Tensor,
    gate_low: torch.Tensor,
    up_low: torch.Tensor,
    gate_b: torch.Tensor,
    up_b: torch.Tensor,
    down_low: torch.Tensor,
    down_a: torch.Tensor,
    scale: float,
    tanh: bool,
    seed: torch.Tensor | None,
    dropout: float,
) -> None:
    """See :func:`syntune.training.gemma.mlp.geglu_backward_`."""
    _geglu_backward[_grid(gate, _BACKWARD)](
        d, gate, up, gate_low, up_low, gate_b, up_b, down_low, down_a, gate if seed is None else seed, *gate.shape,
        scale, 1 / (1 - dropout), drop_threshold(dropout), **_constants(tanh, dropout, gate_b.shape[1], _BACKWARD),
    )  # fmt: skip


def dropped(x: torch.Tensor, seed: torch.Tensor, dropout: float) -> torch.Tensor:
    """See :func:`syntune.training.dropout.dropped`."""
    output = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), 1024),)
    _dropped[grid](x, seed, output, x.numel(), 1 / (1 - dropout), drop_threshold(dropout), SIZE=1024)
    return output


def _grid(tensor: torch.Tensor, tile: tuple[int, int, int]) -> tuple[int, int]:
    rows, columns = tensor.shape
    return triton.cdiv(columns, tile[1]), triton.cdiv(rows, tile[0])


def _constants(tanh: bool, dropout: float, rank: int, tile: tuple[int, int, int]) -> dict[str, int | bool]:
    """A tile's inner dimension is at least 16, and a power of two."""
    return {
        "TANH": tanh,
        "DROPS": dropout > 0,
        "R": rank,
        "RANKS": max(16, triton.next_power_of_2(rank)),
        "ROWS": tile[0],
        "COLUMNS": tile[1],
        "num_warps": tile[2],
    }
