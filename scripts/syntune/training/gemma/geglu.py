"""GELU(gate) * up with the adapters of gate and up, forward and backward.

In half precision on a GPU it runs the Triton kernels of :mod:`syntune.training.gemma.mlp_kernels`, elsewhere plain
PyTorch.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

from syntune.models import dropout as seeded
from syntune.models.transfer import is_half_on_gpu


class Gated(NamedTuple):
    """gate and up before their adapters, and these.

    Attributes:
        gate: [T, I].
        up: [T, I].
        gate_low: [T, r], the adapter's narrow side.
        up_low: [T, r].
        gate_b: [I, r].
        up_b: [I, r].
        scale: of the adapters.
        tanh: GELU's tanh form instead of the exact one.
    """

    gate: torch.Tensor
    up: torch.Tensor
    gate_low: torch.Tensor
    up_low: torch.Tensor
    gate_b: torch.Tensor
    up_b: torch.Tensor
    scale: float
    tanh: bool


def geglu_forward(gated: Gated, peaked: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Add the adapters to gate and up, and multiply GELU(gate) by up.

    Args:
        gated: gate, up and their adapters.
        peaked: look up the largest magnitudes.

    Returns:
        h [T, I], and of each row some magnitudes [T, any], the largest of h among them.
    """
    gate, up, gate_low, up_low, gate_b, up_b, scale, tanh = gated
    if is_half_on_gpu(gate):
        from syntune.training.gemma import mlp_kernels

        return mlp_kernels.geglu_forward(gated, peaked)
    gate = gate.addmm(gate_low, gate_b.t(), alpha=scale)
    h = functional.gelu(gate, approximate=_form(tanh)) * up.addmm(up_low, up_b.t(), alpha=scale)
    return h, h.abs().amax(1, keepdim=True).float() if peaked else None


def geglu_backward_(
    d: torch.Tensor,
    gated: Gated,
    down_low: torch.Tensor,
    down_a: torch.Tensor,
    seed: torch.Tensor | None,
    dropout: float,
    column_scales: tuple[torch.Tensor, torch.Tensor] | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Undo :func:`geglu_forward`: gate and up become their gradients, in place.

    Args:
        d: [T, I], the gradient of h through down's frozen weight.
        gated: as for :func:`geglu_forward`.
        down_low: [T, r], the gradient of the narrow side of down's adapter.
        down_a: [r, I].
        seed: int32 [2], of the dropout of down's adapter.
        dropout: its probability.
        column_scales: float32 [I], of gate's and of up's gradient, for the magnitudes.

    Returns:
        The gradients of gate_b and up_b, over the scale, and of down_a; and of each row some magnitudes [T, any], the
        largest of both scaled gradients among them.
    """
    gate, up, gate_low, up_low, gate_b, up_b, scale, tanh = gated
    if is_half_on_gpu(gate):
        from syntune.training.gemma import mlp_kernels

        return mlp_kernels.geglu_backward_(d, gated, down_low, down_a, seed, dropout, column_scales)
    gate.addmm_(gate_low, gate_b.t(), alpha=scale)
    up.addmm_(up_low, up_b.t(), alpha=scale)
    upstream = d + _dropped(down_low @ down_a, seed, dropout)
    value = functional.gelu(gate, approximate=_form(tanh))
    d_down_a = down_low.t() @ _dropped(value * up, seed, dropout)
    d_gate = torch.ops.aten.gelu_backward(upstream * up, gate, approximate=_form(tanh))
    up.copy_(upstream * value)
    gate.copy_(d_gate)
    peaks = None
    if column_scales is not None:
        both = [gradient.abs().float() * of for gradient, of in zip((gate, up), column_scales, strict=True)]
        peaks = torch.cat([each.amax(1, keepdim=True) for each in both], 1)
    return gate.t() @ gate_low, up.t() @ up_low, d_down_a, peaks


def _form(tanh: bool) -> str:
    """What PyTorch calls GELU's two forms."""
    return "tanh" if tanh else "none"


def _dropped(x: torch.Tensor, seed: torch.Tensor | None, dropout: float) -> torch.Tensor:
    return seeded.dropped(x, seed, dropout) if dropout else x
