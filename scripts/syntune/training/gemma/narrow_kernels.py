"""Triton kernels of the adapters' narrow sides. Imported on a GPU only: PyTorch's CPU builds come without Triton.

The masks of dropout are those of :mod:`syntune.models.dropout`, bit for bit.
"""

from typing import Any

import torch
import triton
import triton.language as tl

from syntune.models.dropout import drop_threshold
from syntune.models.dropout_kernel import kept
from syntune.models.rank_tiles import fitted, padded

_FORWARD = 32, 128, 4, 3
"""Rows and columns of a tile, its warps and stages."""

_OF_INPUT = 64, 128, 4
"""Rows and columns of a tile, and its warps."""

_OF_NARROW = 64, 64, 4, 3, 8
"""Rows and columns of a tile, its warps and stages, and the parts that rows are split into."""


@triton.jit
def _dropped(value, place, seed, keep_scale, threshold, DROPS: tl.constexpr):
    if DROPS:
        return tl.where(kept(place, seed, threshold), value * keep_scale, 0.0).to(value.dtype)
    else:
        return value


@triton.jit(do_not_specialize=["rows"])
def _narrow_sides(
    x, narrow, seeds, low, rows, columns, keep_scale, threshold, DROPS: tl.constexpr, R: tl.constexpr,
    RANKS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Some rows of one adapter's side: programs of the other adapters find x in the cache."""
    which = tl.program_id(0)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    rank = tl.arange(0, RANKS)
    total = tl.zeros((ROWS, RANKS), tl.float32)
    for start in tl.range(0, columns, COLUMNS, num_stages=STAGES):
        column = start + tl.arange(0, COLUMNS)
        place = row[:, None] * columns + column[None, :]
        value = tl.load(x + place, (row[:, None] < rows) & (column[None, :] < columns), 0.0)
        side = tl.load(
            narrow + (which * R + rank[None, :]) * columns + column[:, None],
            (rank[None, :] < R) & (column[:, None] < columns), 0.0,
        )  # fmt: skip
        total = tl.dot(_dropped(value, place, seeds + 2 * which, keep_scale, threshold, DROPS), side, total)
    place = (which * rows + row[:, None]) * R + rank[None, :]
    tl.store(low + place, total, (row[:, None] < rows) & (rank[None, :] < R))


@triton.jit(do_not_specialize=["rows"])
def _of_input(
    gradients, narrow, seeds, dx, rows, columns, keep_scale, threshold, ADDS: tl.constexpr, DROPS: tl.constexpr,
    N: tl.constexpr, R: tl.constexpr, RANKS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of the input's gradient, through all adapters."""
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    rank = tl.arange(0, RANKS)
    place = row[:, None] * columns + column[None, :]
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    if ADDS:
        total += tl.load(dx + place, inside, 0.0).to(tl.float32)
    for which in tl.static_range(N):
        gradient = tl.load(
            gradients + (which * rows + row[:, None]) * R + rank[None, :],
            (row[:, None] < rows) & (rank[None, :] < R), 0.0,
        )  # fmt: skip
        side = tl.load(
            narrow + (which * R + rank[:, None]) * columns + column[None, :],
            (rank[:, None] < R) & (column[None, :] < columns), 0.0,
        )  # fmt: skip
        total += _dropped(tl.dot(gradient, side), place, seeds + 2 * which, keep_scale, threshold, DROPS)
    tl.store(dx + place, total, inside)


@triton.jit(do_not_specialize=["rows", "rows_each"])
def _of_narrow(
    gradients, x, seeds, sums, rows, columns, rows_each, keep_scale, threshold, DROPS: tl.constexpr,
    R: tl.constexpr, RANKS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Some columns of the gradient of one adapter's A, of a part of the rows."""
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    which = tl.program_id(2)
    rank = tl.arange(0, RANKS)
    total = tl.zeros((RANKS, COLUMNS), tl.float32)
    first = tl.program_id(1) * rows_each
    for start in tl.range(first, min(first + rows_each, rows), ROWS, num_stages=STAGES):
        row = start + tl.arange(0, ROWS)
        place = row[:, None] * columns + column[None, :]
        value = tl.load(x + place, (row[:, None] < rows) & (column[None, :] < columns), 0.0)
        gradient = tl.load(
            gradients + (which * rows + row[None, :]) * R + rank[:, None],
            (row[None, :] < rows) & (rank[:, None] < R), 0.0,
        )  # fmt: skip
        total = tl.dot(gradient, _dropped(value, place, seeds + 2 * which, keep_scale, threshold, DROPS), total)
    place = ((tl.program_id(1) * tl.num_programs(2) + which) * R + rank[:, None]) * columns + column[None, :]
    tl.store(sums + place, total, (rank[:, None] < R) & (column[None, :] < columns))


def narrow_sides(x: torch.Tensor, narrow: torch.Tensor, seeds: torch.Tensor | None, dropout: float) -> torch.Tensor:
    """See :func:`syntune.training.gemma.narrow_sides.narrow_sides`."""
    x, narrow = x.contiguous(), narrow.contiguous()
    (rows, columns), (count, rank, _), (tile_rows, tile_columns, warps, stages) = x.shape, narrow.shape, _FORWARD
    low = x.new_empty(count, rows, rank)
    _narrow_sides[(count, triton.cdiv(rows, tile_rows))](
        x, narrow, low if seeds is None else seeds, low, rows, columns, **_settings(rank, seeds, dropout),
        ROWS=tile_rows, COLUMNS=fitted(tile_columns, rank), STAGES=stages, num_warps=warps,
    )  # fmt: skip
    return low


def back_through_sides(
    gradients: torch.Tensor,
    x: torch.Tensor,
    narrow: torch.Tensor,
    seeds: torch.Tensor | None,
    dropout: float,
    dx: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """See :func:`syntune.training.gemma.narrow_sides.back_through_sides`."""
    gradients, x, narrow = gradients.contiguous(), x.contiguous(), narrow.contiguous()
    (rows, columns), (count, rank, _) = x.shape, narrow.shape
    settings, unused = _settings(rank, seeds, dropout), x
    adds, dx = dx is not None, torch.empty_like(x) if dx is None else dx
    tile_rows, tile_columns, warps = _OF_INPUT
    tile_columns = fitted(tile_columns, rank)
    _of_input[(triton.cdiv(columns, tile_columns), triton.cdiv(rows, tile_rows))](
        gradients, narrow, unused if seeds is None else seeds, dx, rows, columns, **settings, ADDS=adds, N=count,
        ROWS=tile_rows, COLUMNS=tile_columns, num_warps=warps,
    )  # fmt: skip
    tile_rows, tile_columns, warps, stages, parts = _OF_NARROW
    tile_rows = fitted(tile_rows, rank)
    each = triton.cdiv(triton.cdiv(rows, parts), tile_rows) * tile_rows
    parts = triton.cdiv(rows, each)
    sums = x.new_empty(parts, *narrow.shape, dtype=torch.float32)
    _of_narrow[(triton.cdiv(columns, tile_columns), parts, count)](
        gradients, x, unused if seeds is None else seeds, sums, rows, columns, each, **settings,
        ROWS=tile_rows, COLUMNS=tile_columns, STAGES=stages, num_warps=warps,
    )  # fmt: skip
    return dx, sums.sum(0).to(narrow.dtype)


def _settings(rank: int, seeds: torch.Tensor | None, dropout: float) -> dict[str, Any]:
    """What all kernels take."""
    return {
        "keep_scale": 1 / (1 - dropout), "threshold": drop_threshold(dropout), "DROPS": seeds is not None,
        "R": rank, "RANKS": padded(rank),
    }  # fmt: skip
