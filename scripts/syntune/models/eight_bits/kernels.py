"""Triton kernels of 8-bit products. Imported on a GPU only: PyTorch's CPU builds come without Triton.

The masks of dropout are those of :mod:`syntune.models.dropout`, bit for bit.
"""

import torch
import triton
import triton.language as tl

from syntune.models.dropout import drop_threshold
from syntune.models.dropout_kernel import kept
from syntune.models.rank_tiles import fitted, padded

_DROPPED, _PEAKED, _OTHER = (32, 256, 4, 3), (64, 256, 8, 3), (64, 128, 8, 3)
"""Rows and columns of a tile of :func:`project`, its warps and stages: with dropout, with known peaks, else."""

_PRODUCT = (128, 256, 128, 8, 8, 3)
"""Of a tile of :func:`int8_product`: rows, columns, depth; then tile rows that share columns, warps, stages."""

_SIDE = 128
"""Of a tile of :func:`transposed_into`."""


@triton.jit(do_not_specialize=["rows"])
def _project(
    x, narrow, seed, peaks, column_scale, low, values, row_scale, rows, columns, tiles, rank_step, column_step,
    values_step, keep_scale, threshold, limit,
    R: tl.constexpr, RANKS: tl.constexpr, DROPS: tl.constexpr, WHOLE: tl.constexpr, QUANTIZES: tl.constexpr,
    PEAKS: tl.constexpr, SCALED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    rank = tl.arange(0, RANKS)
    factor = tl.full((ROWS,), 1.0, tl.float32)
    if QUANTIZES:
        peak = tl.zeros((ROWS,), tl.float32)
        if PEAKS:
            for start in range(0, tiles, 64):
                tile = start + tl.arange(0, 64)
                inside = (row[:, None] < rows) & (tile[None, :] < tiles)
                peak = tl.maximum(peak, tl.max(tl.load(peaks + row[:, None] * tiles + tile[None, :], inside, 0.0), 1))
        else:
            for start in tl.range(0, columns, COLUMNS, num_stages=STAGES):
                column = start + tl.arange(0, COLUMNS)
                inside = (row[:, None] < rows) & (column[None, :] < columns)
                value = tl.load(x + row[:, None] * columns + column[None, :], inside, 0.0).to(tl.float32)
                if SCALED:
                    value *= tl.load(column_scale + column, column < columns, 0.0)[None, :]
                peak = tl.maximum(peak, tl.max(tl.abs(value), 1))
        peak = tl.maximum(peak, 1e-30)
        tl.store(row_scale + row, peak / limit, row < rows)
        factor = limit / peak
    total = tl.zeros((ROWS, RANKS), tl.float32)
    for start in tl.range(0, columns, COLUMNS, num_stages=STAGES):
        column = start + tl.arange(0, COLUMNS)
        inside = (row[:, None] < rows) & (column[None, :] < columns)
        place = row[:, None] * columns + column[None, :]
        value = tl.load(x + place, inside, 0.0)
        if QUANTIZES:
            scaled = value.to(tl.float32) * factor[:, None]
            if SCALED:
                scaled *= tl.load(column_scale + column, column < columns, 0.0)[None, :]
            if WHOLE:
                scaled = tl.floor(scaled + 0.5)
            out = values + row[:, None] * values_step + column[None, :]
            tl.store(out, scaled.to(values.dtype.element_ty), inside)
        if R:
            if DROPS:
                value = tl.where(kept(place.to(tl.int32), seed, threshold), value * keep_scale, 0.0).to(value.dtype)
            side = tl.load(
                narrow + rank[None, :] * rank_step + column[:, None] * column_step,
                (rank[None, :] < R) & (column[:, None] < columns), 0.0,
            )  # fmt: skip
            total = tl.dot(value, side, total)
    if R:
        place = row[:, None] * R + rank[None, :]
        tl.store(low + place, total, (row[:, None] < rows) & (rank[None, :] < R))


@triton.jit(do_not_specialize=["rows"])
def _int8_product(
    a, b, a_scale, b_scale, output, rows, columns, depth, a_step, b_step,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    row_tiles, column_tiles = tl.cdiv(rows, ROWS), tl.cdiv(columns, COLUMNS)
    which = tl.program_id(0)
    group = which // (GROUP * column_tiles)
    group_rows = min(row_tiles - group * GROUP, GROUP)
    row_tile = group * GROUP + which % group_rows
    column_tile = (which % (GROUP * column_tiles)) // group_rows
    row = row_tile * ROWS + tl.arange(0, ROWS)
    column = column_tile * COLUMNS + tl.arange(0, COLUMNS)
    k = tl.arange(0, DEPTH)
    left = a + (row % rows).to(tl.int64)[:, None] * a_step + k[None, :]
    right = b + (column % columns).to(tl.int64)[None, :] * b_step + k[:, None]
    total = tl.zeros((ROWS, COLUMNS), tl.int32)
    for start in range(0, depth, DEPTH):
        inside = k < depth - start
        total = tl.dot(tl.load(left, inside[None, :], 0), tl.load(right, inside[:, None], 0), total, out_dtype=tl.int32)
        left += DEPTH
        right += DEPTH
    scale = tl.load(a_scale + row, row < rows, 0.0)[:, None] * tl.load(b_scale + column, column < columns, 0.0)[None, :]
    place = row.to(tl.int64)[:, None] * columns + column[None, :]
    tl.store(output + place, total.to(tl.float32) * scale, (row[:, None] < rows) & (column[None, :] < columns))


@triton.jit
def _transposed(x, output, rows, columns, step, SIDE: tl.constexpr):
    row = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    column = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    tile = tl.load(x + row.to(tl.int64)[:, None] * columns + column[None, :], inside, 0)
    out = output + column.to(tl.int64)[:, None] * step + row[None, :]
    tl.store(out, tl.trans(tile), (column[:, None] < columns) & (row[None, :] < rows))


def project(
    x: torch.Tensor,
    narrow: torch.Tensor | None,
    seed: torch.Tensor | None,
    dropout: float,
    values: torch.Tensor | None,
    limit: float,
    column_scale: torch.Tensor | None,
    peaks: torch.Tensor | None,
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """See :func:`syntune.models.eight_bits.rows.project`."""
    rows, columns = x.shape
    tile_rows, tile_columns, warps, stages = _DROPPED if dropout else _OTHER if peaks is None else _PEAKED
    rank = 0 if narrow is None else narrow.shape[0]
    tile_columns = fitted(tile_columns, rank)
    low = x.new_empty(rows, rank) if rank else None
    row_scale = None if values is None else x.new_empty(rows, 1, dtype=torch.float32)
    unused = x
    _project[(triton.cdiv(rows, tile_rows),)](
        x, unused if narrow is None else narrow, unused if seed is None else seed,
        unused if peaks is None else peaks, unused if column_scale is None else column_scale,
        unused if low is None else low, unused if values is None else values,
        unused if row_scale is None else row_scale, rows, columns, 0 if peaks is None else peaks.shape[1],
        *((0, 0) if narrow is None else narrow.stride()), 0 if values is None else values.stride(0),
        1 / (1 - dropout), drop_threshold(dropout), limit,
        R=rank, RANKS=padded(rank), DROPS=dropout > 0,
        WHOLE=values is not None and values.dtype == torch.int8, QUANTIZES=values is not None,
        PEAKS=peaks is not None, SCALED=column_scale is not None, ROWS=tile_rows, COLUMNS=tile_columns, STAGES=stages,
        num_warps=warps,
    )  # fmt: skip
    return low, row_scale


def int8_product(
    a: torch.Tensor, b: torch.Tensor, a_scale: torch.Tensor, b_scale: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """a b' of int8 [T, K] and [N, K], times a_scale [T, 1] and b_scale [N]: [T, N] in ``dtype``."""
    output = torch.empty(len(a), len(b), dtype=dtype, device=a.device)
    tile_rows, tile_columns, depth, group, warps, stages = _PRODUCT
    grid = (triton.cdiv(len(a), tile_rows) * triton.cdiv(len(b), tile_columns),)
    _int8_product[grid](
        a, b, a_scale, b_scale, output, len(a), len(b), a.shape[1], a.stride(0), b.stride(0),
        ROWS=tile_rows, COLUMNS=tile_columns, DEPTH=depth, GROUP=group, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return output


def transposed_into(x: torch.Tensor, output: torch.Tensor) -> None:
    """Write x' of 8-bit x [rows, columns] into ``output`` [columns, rows], whose rows may lie apart."""
    (rows, columns), grid = x.shape, (triton.cdiv(x.shape[0], _SIDE), triton.cdiv(x.shape[1], _SIDE))
    _transposed[grid](
        x.view(torch.int8), output.view(torch.int8), rows, columns, output.stride(0), SIDE=_SIDE, num_warps=8
    )
