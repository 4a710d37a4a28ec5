"""Gemma's MLP with LoRA as one autograd function, on a frozen base in half precision or in 8 bits.

It keeps its input, two wide tensors and a few narrow ones, and overwrites the wide ones in the backward pass.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.activations import GELUTanh
from transformers.models.gemma.modeling_gemma import GemmaMLP

from syntune.models import dropout as seeded
from syntune.models.eight_bits.linear import back_through
from syntune.models.eight_bits.rows import Rows, project
from syntune.models.eight_bits.weights import EightBitWeight, backward_product, empty_rows, forward_product
from syntune.models.transfer import autocast_dtype
from syntune.training.gemma.adapters import MLP, AdaptedLinear, lora_settings, takes_pefts_way
from syntune.training.gemma.geglu import Gated, geglu_backward_, geglu_forward
from syntune.training.gemma.narrow_sides import back_through_sides


def mlp_forward(
    mlp: GemmaMLP, original: Callable[..., torch.Tensor], x: torch.Tensor, seeds: torch.Tensor | None = None
) -> torch.Tensor:
    """GemmaMLP.forward, fused; ``seeds`` of dropout, int32 [3, 2], are drawn if none are given."""
    if takes_pefts_way(mlp, MLP):
        return original(x)
    _, scale, dropout = lora_settings(mlp.gate_proj)
    dtype = autocast_dtype(x)
    weights = [part for name in MLP for part in AdaptedLinear.from_peft(getattr(mlp, name)).to(dtype)]
    if dropout and seeds is None:
        seeds = seeded.draw_seeds(len(MLP), x.device)
    with torch.autocast(x.device.type, enabled=False):
        return AdaptedGeglu.apply(
            x.to(dtype), *weights, scale, _is_tanh(mlp.act_fn), seeds if dropout else None, dropout
        )


def is_fused(mlp: nn.Module) -> bool:
    """Whether its forward was replaced by :func:`mlp_forward`."""
    return getattr(mlp.forward, "func", None) is mlp_forward


def _is_tanh(activation: nn.Module) -> bool:
    """Which of GELU's two forms an activation is."""
    return isinstance(activation, GELUTanh) or getattr(activation, "approximate", "none") == "tanh"


class AdaptedGeglu(torch.autograd.Function):
    """down(GELU(gate(x)) * up(x)), each of them a frozen linear with an adapter.

    Kept for the backward pass: x, gate and up before their adapters, and the adapters' narrow outputs. The backward
    pass overwrites gate and up with their gradients.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *arguments: Any) -> torch.Tensor:
        """Args: x [..., H], then weight, A, B of gate, up and down, then scale, tanh, seeds [3, 2] and dropout."""
        gate_w, gate_a, gate_b, up_w, up_a, up_b, down_w, down_a, down_b, scale, tanh, seeds, dropout = arguments
        shape, x = x.shape, x.reshape(-1, x.shape[-1])
        gate_seed, up_seed, down_seed = (None, None, None) if seeds is None else seeds
        gate_low, rows = _project(x, gate_a, gate_seed, dropout, gate_w)
        up_low, _ = project(x, up_a, up_seed, dropout)
        gate, up = _times(rows, gate_w, x.dtype), _times(rows, up_w, x.dtype)
        del rows
        gated = Gated(gate, up, gate_low, up_low, gate_b, up_b, scale, tanh)
        h, peaks = geglu_forward(gated, isinstance(down_w, EightBitWeight))
        down_low, rows = _project(h, down_a, down_seed, dropout, down_w, peaks)
        del h
        y = _times(rows, down_w, x.dtype).addmm_(down_low, down_b.t(), alpha=scale)
        ctx.frozen = gate_w, up_w, down_w
        ctx.save_for_backward(
            x, gate, up, gate_low, up_low, down_low, seeds, gate_a, gate_b, up_a, up_b, down_a, down_b
        )
        ctx.scale, ctx.tanh, ctx.dropout, ctx.shape, ctx.spent = scale, tanh, dropout, shape, False
        return y.view(shape)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple:
        """Gradients of x and of the adapters."""
        if ctx.spent:
            raise RuntimeError("a fused layer keeps what its backward pass needs for one backward pass only")
        ctx.spent = True
        x, gate, up, gate_low, up_low, down_low, seeds, *adapters = ctx.saved_tensors
        gate_a, gate_b, up_a, up_b, down_a, down_b = adapters
        gate_w, up_w, down_w = ctx.frozen
        scale, dropout = ctx.scale, ctx.dropout
        down_seed = None if seeds is None else seeds[2]
        dy = dy.reshape(-1, dy.shape[-1])
        d_down_b = (dy.t() @ down_low).mul_(scale)
        d_down_low = (dy @ down_b).mul_(scale)
        d = _back(dy, down_w)
        in_eight = isinstance(gate_w, EightBitWeight)
        gated = Gated(gate, up, gate_low, up_low, gate_b, up_b, scale, ctx.tanh)
        column_scales = (gate_w.scale, up_w.scale) if in_eight else None
        d_gate_b, d_up_b, d_down_a, peaks = geglu_backward_(
            d, gated, d_down_low, down_a, down_seed, dropout, column_scales
        )
        d_gate, d_up = gate, up
        del d, gate, up, gated
        values = (None, None)
        if in_eight:
            both = empty_rows(d_gate, gate_w, times=2)
            values = both.chunk(2, 1)
        parts = [
            project(gradient, b.t(), values=room, column_scale=weight.scale if in_eight else None, peaks=peaks)
            for gradient, b, room, weight in zip((d_gate, d_up), (gate_b, up_b), values, (gate_w, up_w), strict=True)
        ]
        (d_gate_low, rows), (d_up_low, _) = parts
        dx = None
        if ctx.needs_input_grad[0]:
            if in_eight:
                dx = backward_product(Rows(both, rows.scale), (gate_w, up_w), x.dtype)
            else:
                dx = (d_gate @ gate_w).addmm_(d_up, up_w)
        d_low, narrow = torch.stack((d_gate_low, d_up_low)).mul_(scale), torch.stack((gate_a, up_a))
        dx, (d_gate_a, d_up_a) = back_through_sides(d_low, x, narrow, None if seeds is None else seeds[:2], dropout, dx)
        dx = dx.view(ctx.shape) if ctx.needs_input_grad[0] else None
        d_gate_b, d_up_b = d_gate_b * scale, d_up_b * scale
        return dx, None, d_gate_a, d_gate_b, None, d_up_a, d_up_b, None, d_down_a, d_down_b, None, None, None, None


_Weight = torch.Tensor | EightBitWeight


def _project(
    x: torch.Tensor,
    narrow: torch.Tensor,
    seed: torch.Tensor | None,
    dropout: float,
    weight: _Weight,
    peaks: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | Rows]:
    """x on the adapter's narrow side, and as the frozen weight's products take it."""
    if not isinstance(weight, EightBitWeight):
        return project(x, narrow, seed, dropout)[0], x
    return project(x, narrow, seed, dropout, empty_rows(x, weight), peaks=peaks)


def _times(rows: torch.Tensor | Rows, weight: _Weight, dtype: torch.dtype) -> torch.Tensor:
    """Through a frozen linear."""
    return forward_product(rows, weight, dtype) if isinstance(rows, Rows) else rows @ weight.t()


def _back(gradient: torch.Tensor, weight: _Weight) -> torch.Tensor:
    """Back through a frozen linear."""
    return back_through(gradient, weight) if isinstance(weight, EightBitWeight) else gradient @ weight
