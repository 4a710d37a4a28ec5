"""Rows of activations or gradients, projected onto an adapter's narrow side and quantised, in one pass over them.

In half precision on a GPU a Triton kernel does it (:mod:`syntune.models.eight_bits.kernels`), elsewhere plain PyTorch.
"""

from dataclasses import dataclass

import torch

from syntune.models import dropout as seeded
from syntune.models.transfer import is_half_on_gpu

LIMITS = {torch.float8_e4m3fn: 448.0, torch.int8: 127.0}
"""The largest number that each 8-bit type holds."""

_LEAST = 1e-30
"""The least a row is taken to reach, so that a row of zeros has a scale."""


@dataclass(frozen=True)
class Rows:
    """Quantised rows: ``values`` times ``scale``.

    Attributes:
        values: 8-bit [T, N].
        scale: float32 [T, 1].
    """

    values: torch.Tensor
    scale: torch.Tensor


def project(
    x: torch.Tensor,
    narrow: torch.Tensor | None = None,
    seed: torch.Tensor | None = None,
    dropout: float = 0.0,
    values: torch.Tensor | None = None,
    column_scale: torch.Tensor | None = None,
    peaks: torch.Tensor | None = None,
) -> tuple[torch.Tensor | None, Rows | None]:
    """Project rows onto a narrow matrix, after dropout, and quantise them, before it.

    Args:
        x: [T, N].
        narrow: [R, N]; without it, rows are quantised only.
        seed: int32 [2], of the mask of dropout.
        dropout: probability.
        values: 8-bit [T, N], into which the quantised rows are written; its rows may lie apart. Without it, rows are
            projected only.
        column_scale: float32 [N], that rows are multiplied by before they are quantised.
        peaks: float32 [T, any], whose largest value is what each scaled row reaches; without it, it is looked up.

    Returns:
        dropped(x) narrow' [T, R], and the quantised rows.
    """
    limit = 0.0 if values is None else LIMITS[values.dtype]
    if is_half_on_gpu(x):
        from syntune.models.eight_bits import kernels

        low, scale = kernels.project(x, narrow, seed, dropout, values, limit, column_scale, peaks)
        return low, None if values is None else Rows(values, scale)
    low = None if narrow is None else (seeded.dropped(x, seed, dropout) if dropout else x) @ narrow.t()
    if values is None:
        return low, None
    scaled = x.float() if column_scale is None else x.float() * column_scale
    peak = (scaled.abs() if peaks is None else peaks).amax(1, keepdim=True).float().clamp(min=_LEAST)
    scaled = scaled * (limit / peak)
    values.copy_((scaled + 0.5).floor() if values.dtype == torch.int8 else scaled)
    return low, Rows(values, peak / limit)
