"""The narrow sides of adapters on one input, dropped(x) A', each with a mask of its own.

In half precision on a GPU a Triton kernel reads the input once for all of them
(:mod:`syntune.training.gemma.narrow_kernels`), elsewhere plain PyTorch does it. The backward pass makes the masks again
from their seeds, so neither a mask nor a dropped input is kept.
"""

from typing import Any

import torch

from syntune.models import dropout as seeded
from syntune.models.transfer import is_half_on_gpu


@torch.library.custom_op("syntune::narrow_sides", mutates_args=())
def narrow_sides(x: torch.Tensor, narrow: torch.Tensor, seeds: torch.Tensor | None, dropout: float) -> torch.Tensor:
    """Project an input onto the narrow sides of its adapters; an opaque step to compilers.

    Args:
        x: [T, H].
        narrow: A of each adapter, [N, R, H].
        seeds: int32 [N, 2], of the masks of dropout; None: nothing is dropped.
        dropout: probability.

    Returns:
        [N, T, R].
    """
    if is_half_on_gpu(x):
        from syntune.training.gemma import narrow_kernels

        return narrow_kernels.narrow_sides(x, narrow, seeds, dropout)
    return torch.stack([_dropped(x, seeds, which, dropout) @ a.t() for which, a in enumerate(narrow)])


def back_through_sides(
    gradients: torch.Tensor,
    x: torch.Tensor,
    narrow: torch.Tensor,
    seeds: torch.Tensor | None,
    dropout: float,
    dx: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of :func:`narrow_sides`.

    Args:
        gradients: of its output, [N, T, R].
        x: as there.
        narrow: as there.
        seeds: as there.
        dropout: as there.
        dx: what else x's gradient is made of, [T, H]; that of the adapters is added to it in place.

    Returns:
        The gradient of x, or ``dx``, and that of ``narrow``, in their dtypes.
    """
    if is_half_on_gpu(x):
        from syntune.training.gemma import narrow_kernels

        return narrow_kernels.back_through_sides(gradients, x, narrow, seeds, dropout, dx)
    dx = torch.zeros_like(x) if dx is None else dx
    d_narrow = []
    for which, (gradient, a) in enumerate(zip(gradients, narrow, strict=True)):
        dx += _dropped(gradient @ a, seeds, which, dropout)
        d_narrow.append(gradient.t() @ _dropped(x, seeds, which, dropout))
    return dx, torch.stack(d_narrow)


def _dropped(x: torch.Tensor, seeds: torch.Tensor | None, which: int, dropout: float) -> torch.Tensor:
    return x if seeds is None else seeded.dropped(x, seeds[which], dropout)


@narrow_sides.register_fake
def _(x: torch.Tensor, narrow: torch.Tensor, seeds: torch.Tensor | None, dropout: float) -> torch.Tensor:
    return x.new_empty(narrow.shape[0], x.shape[0], narrow.shape[1])


@torch.library.custom_op("syntune::narrow_sides_backward", mutates_args=())
def _back(
    gradients: torch.Tensor, x: torch.Tensor, narrow: torch.Tensor, seeds: torch.Tensor | None, dropout: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`back_through_sides`, as an opaque step."""
    return back_through_sides(gradients, x, narrow, seeds, dropout)


@_back.register_fake
def _(
    gradients: torch.Tensor, x: torch.Tensor, narrow: torch.Tensor, seeds: torch.Tensor | None, dropout: float
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(x), torch.empty_like(narrow)


def _keep_for_backward(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
    x, narrow, seeds, ctx.dropout = inputs
    ctx.save_for_backward(x, narrow, seeds)


def _backward(ctx: Any, gradients: torch.Tensor) -> tuple:
    return *_back(gradients, *ctx.saved_tensors, ctx.dropout), None, None


narrow_sides.register_autograd(_backward, setup_context=_keep_for_backward)
