"""Gemma's MLP with LoRA as one autograd function.

It keeps its input, two wide tensors and a few narrow ones, and overwrites the wide ones in the backward pass. In half
precision on a GPU it runs the Triton kernels of :mod:`syntune.training.gemma.mlp_kernels`, elsewhere plain PyTorch.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.activations import GELUTanh
from transformers.models.gemma.modeling_gemma import GemmaMLP

from syntune.training import dropout as seeded
from syntune.training.gemma.adapters import MLP, AdaptedLinear, lora_settings, takes_pefts_way


def mlp_forward(mlp: GemmaMLP, original: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """GemmaMLP.forward, fused."""
    if takes_pefts_way(mlp, MLP):
        return original(x)
    _, scale, dropout = lora_settings(mlp.gate_proj)
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    weights = [tensor for name in MLP for tensor in AdaptedLinear.from_peft(getattr(mlp, name)).to(dtype)]
    seeds = seeded.draw_seeds(3, x.device) if dropout else None
    with torch.autocast(device, enabled=False):
        return AdaptedGeglu.apply(x.to(dtype), *weights, scale, _is_tanh(mlp.act_fn), seeds, dropout)


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
        gate_low = _dropped(x, gate_seed, dropout) @ gate_a.t()
        up_low = _dropped(x, up_seed, dropout) @ up_a.t()
        gate, up = x @ gate_w.t(), x @ up_w.t()
        h, h_dropped = geglu_forward(gate, up, gate_low, up_low, gate_b, up_b, scale, tanh, down_seed, dropout)
        down_low = h_dropped @ down_a.t()
        del h_dropped
        y = (h @ down_w.t()).addmm_(down_low, down_b.t(), alpha=scale)
        ctx.save_for_backward(x, gate, up, gate_low, up_low, down_low, seeds, *arguments[:9])
        ctx.scale, ctx.tanh, ctx.dropout, ctx.shape, ctx.spent = scale, tanh, dropout, shape, False
        return y.view(shape)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple:
        """Gradients of x and of the adapters."""
        if ctx.spent:
            raise RuntimeError("a fused layer keeps what its backward pass needs for one backward pass only")
        ctx.spent = True
        x, gate, up, gate_low, up_low, down_low, seeds, *weights = ctx.saved_tensors
        gate_w, gate_a, gate_b, up_w, up_a, up_b, down_w, down_a, down_b = weights
        scale, dropout = ctx.scale, ctx.dropout
        gate_seed, up_seed, down_seed = (None, None, None) if seeds is None else seeds
        dy = dy.reshape(-1, dy.shape[-1])
        d_down_b = (dy.t() @ down_low).mul_(scale)
        d_down_low = (dy @ down_b).mul_(scale)
        d = dy @ down_w
        geglu_backward_(
            d, gate, up, gate_low, up_low, gate_b, up_b, d_down_low, down_a, scale, ctx.tanh, down_seed, dropout
        )
        h_dropped, d_gate, d_up = d, gate, up
        d_down_a = d_down_low.t() @ h_dropped
        del d, h_dropped
        d_gate_b, d_gate_low = (d_gate.t() @ gate_low).mul_(scale), (d_gate @ gate_b).mul_(scale)
        d_up_b, d_up_low = (d_up.t() @ up_low).mul_(scale), (d_up @ up_b).mul_(scale)
        d_gate_a = d_gate_low.t() @ _dropped(x, gate_seed, dropout)
        d_up_a = d_up_low.t() @ _dropped(x, up_seed, dropout)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (d_gate @ gate_w).addmm_(d_up, up_w)
            if dropout:
                dx += _dropped(d_gate_low @ gate_a, gate_seed, dropout)
                dx += _dropped(d_up_low @ up_a, up_seed, dropout)
            else:
                dx.addmm_(d_gate_low, gate_a).addmm_(d_up_low, up_a)
            dx = dx.view(ctx.shape)
        return dx, None, d_gate_a, d_gate_b, None, d_up_a, d_up_b, None, d_down_a, d_down_b, None, None, None, None


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
    """Add the adapters to gate and up, multiply GELU(gate) by up, and drop.

    Args:
        gate: [T, I], before its adapter.
        up: [T, I], before its adapter.
        gate_low: [T, r], the adapter's narrow side.
        up_low: [T, r].
        gate_b: [I, r].
        up_b: [I, r].
        scale: of the adapters.
        tanh: GELU's tanh form instead of the exact one.
        seed: int32 [2], of the mask of dropout.
        dropout: probability.

    Returns:
        h [T, I], and h after dropout (the same tensor without).
    """
    if _in_triton(gate):
        from syntune.training.gemma import mlp_kernels

        return mlp_kernels.geglu_forward(gate, up, gate_low, up_low, gate_b, up_b, scale, tanh, seed, dropout)
    gate = gate.addmm(gate_low, gate_b.t(), alpha=scale)
    h = functional.gelu(gate, approximate="tanh" if tanh else "none") * up.addmm(up_low, up_b.t(), alpha=scale)
    return h, _dropped(h, seed, dropout)


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
    """Undo :func:`geglu_forward` in place: d becomes h after dropout, gate and up become their gradients.

    Args:
        d: [T, I], the gradient of h through down's frozen weight.
        down_low: [T, r], the gradient of the narrow side of down's adapter.
        down_a: [r, I].
        (others): as for :func:`geglu_forward`.
    """
    if _in_triton(gate):
        from syntune.training.gemma import mlp_kernels

        mlp_kernels.geglu_backward_(
            d, gate, up, gate_low, up_low, gate_b, up_b, down_low, down_a, scale, tanh, seed, dropout
        )
        return
    gate.addmm_(gate_low, gate_b.t(), alpha=scale)
    up.addmm_(up_low, up_b.t(), alpha=scale)
    d += _dropped(down_low @ down_a, seed, dropout)
    approximate = "tanh" if tanh else "none"
    value = functional.gelu(gate, approximate=approximate)
    d_gate = torch.ops.aten.gelu_backward(d * up, gate, approximate=approximate)
    d_up = d * value
    d.copy_(_dropped(value * up, seed, dropout))
    gate.copy_(d_gate)
    up.copy_(d_up)


def _dropped(x: torch.Tensor, seed: torch.Tensor | None, dropout: float) -> torch.Tensor:
    """Dropout by seed, in Triton on a GPU."""
    if dropout and _in_triton(x):
        from syntune.training.gemma import mlp_kernels

        return mlp_kernels.dropped(x, seed, dropout)
    return seeded.dropped(x, seed, dropout) if dropout else x


def _in_triton(tensor: torch.Tensor) -> bool:
    """Half precision on a GPU; in float32 the kernels' products would be rounded to TF32."""
    return tensor.is_cuda and tensor.dtype in (torch.bfloat16, torch.float16)
