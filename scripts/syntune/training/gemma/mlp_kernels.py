"""Triton kernels of Gemma's fused MLP. Imported on a GPU only: PyTorch's CPU builds come without Triton.

The masks of dropout are those of :mod:`syntune.models.dropout`, bit for bit.
"""

import torch
import triton
import triton.language as tl

from syntune.models.dropout import drop_threshold
from syntune.models.dropout_kernel import kept
from syntune.models.rank_tiles import fitted, padded
from syntune.training.gemma.geglu import Gated

_FORWARD = 16, 128, 4
"""Rows and columns of a tile, and its warps."""

_BACKWARD = 64, 32, 4, 4, 8
"""Rows and columns of a tile, its warps and stages, and the parts that rows are split into."""


@triton.jit
def _gelu(x, TANH: tl.constexpr):
    """GELU and its derivative."""
    if TANH:  # 1 + tanh(u) is 2 sigmoid(2 u)
        share = 1.0 / (1.0 + tl.exp(-x * (1.5957691216057308 + 0.07135481627159837 * x * x)))
        value = x * share
        slope = share + value * (1.0 - share) * (1.5957691216057308 + 0.21406444881479511 * x * x)
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


@triton.jit(do_not_specialize=["rows"])
def _geglu_forward(
    gate, up, gate_low, up_low, gate_b, up_b, h, peaks, rows, columns, scale,
    TANH: tl.constexpr, PEAKS: tl.constexpr, R: tl.constexpr, RANKS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    place = row[:, None] * columns + column[None, :]
    e = _adapted(gate, place, inside, gate_low, gate_b, row, column, rows, columns, scale, R, RANKS)
    g = _adapted(up, place, inside, up_low, up_b, row, column, rows, columns, scale, R, RANKS)
    value, _ = _gelu(e, TANH)
    product = (value * g).to(h.dtype.element_ty)
    tl.store(h + place, product, inside)
    if PEAKS:
        tl.store(peaks + row * tl.num_programs(0) + tl.program_id(0), tl.max(tl.abs(product.to(tl.float32)), 1),
                 row < rows)  # fmt: skip


@triton.jit(do_not_specialize=["rows", "rows_each"])
def _geglu_backward(
    d, gate, up, gate_low, up_low, gate_b, up_b, down_low, down_a, seed, gate_scale, up_scale, peaks, d_gate_b, d_up_b,
    d_down_a, rows, columns, rows_each, scale, keep_scale, threshold,
    TANH: tl.constexpr, DROPS: tl.constexpr, PEAKS: tl.constexpr, R: tl.constexpr, RANKS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """All rows of a part, for some columns: what is summed over rows stays in registers."""
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    rank = tl.arange(0, RANKS)
    of_rank = (rank[:, None] < R) & (column[None, :] < columns)
    gate_side = tl.load(gate_b + column[None, :] * R + rank[:, None], of_rank, 0.0)
    up_side = tl.load(up_b + column[None, :] * R + rank[:, None], of_rank, 0.0)
    down_side = tl.load(down_a + rank[:, None] * columns + column[None, :], of_rank, 0.0)
    if PEAKS:
        of_gate = tl.load(gate_scale + column, column < columns, 0.0)
        of_up = tl.load(up_scale + column, column < columns, 0.0)
    sum_gate = tl.zeros((RANKS, COLUMNS), tl.float32)
    sum_up = tl.zeros((RANKS, COLUMNS), tl.float32)
    sum_down = tl.zeros((RANKS, COLUMNS), tl.float32)
    first = tl.program_id(1) * rows_each
    for start in tl.range(first, min(first + rows_each, rows), ROWS, num_stages=STAGES):
        row = start + tl.arange(0, ROWS)
        narrow = (row[:, None] < rows) & (rank[None, :] < R)
        low_place = row[:, None] * R + rank[None, :]
        gate_narrow = tl.load(gate_low + low_place, narrow, 0.0)
        up_narrow = tl.load(up_low + low_place, narrow, 0.0)
        down_narrow = tl.load(down_low + low_place, narrow, 0.0)
        inside = (row[:, None] < rows) & (column[None, :] < columns)
        place = row.to(tl.int64)[:, None] * columns + column[None, :]
        e = tl.load(gate + place, inside, 0.0).to(tl.float32) + scale * tl.dot(gate_narrow, gate_side)
        g = tl.load(up + place, inside, 0.0).to(tl.float32) + scale * tl.dot(up_narrow, up_side)
        through_adapter = tl.dot(down_narrow, down_side)
        value, slope = _gelu(e, TANH)
        product = value * g
        if DROPS:
            keeps = kept(place.to(tl.int32), seed, threshold)
            through_adapter = tl.where(keeps, through_adapter * keep_scale, 0.0)
            product = tl.where(keeps, product * keep_scale, 0.0)
        upstream = tl.load(d + place, inside, 0.0).to(tl.float32) + through_adapter
        of_e = (upstream * g * slope).to(gate.dtype.element_ty)
        of_g = (upstream * value).to(gate.dtype.element_ty)
        tl.store(gate + place, of_e, inside)
        tl.store(up + place, of_g, inside)
        sum_gate = tl.dot(tl.trans(gate_narrow), of_e, sum_gate)
        sum_up = tl.dot(tl.trans(up_narrow), of_g, sum_up)
        sum_down = tl.dot(tl.trans(down_narrow), product.to(gate.dtype.element_ty), sum_down)
        if PEAKS:
            peak = tl.maximum(tl.abs(of_e.to(tl.float32)) * of_gate[None, :],
                              tl.abs(of_g.to(tl.float32)) * of_up[None, :])  # fmt: skip
            tl.store(peaks + row * tl.num_programs(0) + tl.program_id(0), tl.max(peak, 1), row < rows)
    place = (tl.program_id(1) * R + rank[:, None]) * columns + column[None, :]
    tl.store(d_gate_b + place, sum_gate, of_rank)
    tl.store(d_up_b + place, sum_up, of_rank)
    tl.store(d_down_a + place, sum_down, of_rank)


def geglu_forward(gated: Gated, peaked: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See :func:`syntune.training.gemma.geglu.geglu_forward`."""
    gate, scale, tanh, rank = gated.gate, gated.scale, gated.tanh, gated.gate_b.shape[1]
    (rows, columns), (tile_rows, tile_columns, warps) = gate.shape, _FORWARD
    h, tiles = torch.empty_like(gate), triton.cdiv(columns, tile_columns)
    peaks = gate.new_empty(rows, tiles, dtype=torch.float32) if peaked else None
    _geglu_forward[(tiles, triton.cdiv(rows, tile_rows))](
        *gated[:6], h, gate if peaks is None else peaks, rows, columns, scale,
        TANH=tanh, PEAKS=peaked, **_ranks(rank), ROWS=tile_rows, COLUMNS=tile_columns, num_warps=warps,
    )  # fmt: skip
    return h, peaks


def geglu_backward_(
    d: torch.Tensor,
    gated: Gated,
    down_low: torch.Tensor,
    down_a: torch.Tensor,
    seed: torch.Tensor | None,
    dropout: float,
    column_scales: tuple[torch.Tensor, torch.Tensor] | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """See :func:`syntune.training.gemma.geglu.geglu_backward_`."""
    gate, scale, tanh, rank = gated.gate, gated.scale, gated.tanh, gated.gate_b.shape[1]
    rows, columns = gate.shape
    tile_rows, tile_columns, warps, stages, parts = _BACKWARD
    tile_rows = fitted(tile_rows, rank)
    each = triton.cdiv(triton.cdiv(rows, parts), tile_rows) * tile_rows
    tiles, parts = triton.cdiv(columns, tile_columns), triton.cdiv(rows, each)
    peaks = None if column_scales is None else gate.new_empty(rows, tiles, dtype=torch.float32)
    sums = gate.new_empty(3, parts, rank, columns, dtype=torch.float32)
    _geglu_backward[(tiles, parts)](
        d, *gated[:6], down_low, down_a, gate if seed is None else seed,
        *(column_scales or (gate, gate)), gate if peaks is None else peaks, *sums, rows, columns, each, scale,
        1 / (1 - dropout), drop_threshold(dropout), TANH=tanh, DROPS=dropout > 0, PEAKS=peaks is not None,
        **_ranks(rank), ROWS=tile_rows, COLUMNS=tile_columns, STAGES=stages, num_warps=warps,
    )  # fmt: skip
    d_gate_b, d_up_b, d_down_a = sums.sum(1)
    return d_gate_b.t(), d_up_b.t(), d_down_a, peaks


def _ranks(rank: int) -> dict[str, int]:
    return {"R": rank, "RANKS": padded(rank)}
