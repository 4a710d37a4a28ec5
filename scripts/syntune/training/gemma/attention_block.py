"""Gemma's attention block with LoRA as one function, which torch.compile turns into few kernels.

It takes in the norms, q, k, v and o with their adapters, and the rotation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from transformers.models.gemma.modeling_gemma import rotate_half

from syntune.models.attention import Kernel
from syntune.models.transfer import autocast_dtype
from syntune.training.gemma.narrow_sides import narrow_sides


@dataclass(frozen=True)
class BlockConstants:
    """What an attention block is compiled for."""

    kernel: Kernel
    head_dim: int
    attention_scale: float
    norm_epsilon: float
    adapter_scale: float
    dropout: float


def attention_block(
    x: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    input_norm: torch.Tensor,
    output_norm: torch.Tensor,
    projections: tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], ...],
    seeds: torch.Tensor | None,
    bounds: torch.Tensor,
    longest: int,
    constants: BlockConstants,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first half of a Gemma decoder layer, with adapters on q, k, v and o.

    Args:
        x: [1, T, H], packed rows.
        cos: [1, T, D], of the positions within the rows.
        sin: [1, T, D].
        input_norm: [H], weight of the norm before attention.
        output_norm: [H], weight of the norm after it.
        projections: weight, A and B of q, k, v and o.
        seeds: int32 [4, 2], of their dropout.
        bounds: int32 [rows + 1].
        longest: the longest row.
        constants: of the layer.

    Returns:
        x plus attention, [1, T, H], and its norm: the residual and the MLP's input.
    """

    x, cos, sin = x[0], cos[0].unsqueeze(1), sin[0].unsqueeze(1)

    def project(x: torch.Tensor, which: slice) -> list[torch.Tensor]:
        x = x.to(autocast_dtype(x))
        weights, narrow, wide = zip(*projections[which], strict=True)
        narrow = torch.stack([a.to(x.dtype) for a in narrow])
        low = narrow_sides(x, narrow, None if seeds is None else seeds[which], constants.dropout)
        return [
            x @ weight.to(x.dtype).t() + (side @ b.to(x.dtype).t()) * constants.adapter_scale
            for weight, side, b in zip(weights, low, wide, strict=True)
        ]

    normed = _gemma_norm(x, input_norm, constants.norm_epsilon)
    query, key, value = (states.unflatten(-1, (-1, constants.head_dim)) for states in project(normed, slice(3)))
    query, key = ((states * cos + rotate_half(states) * sin).to(value.dtype) for states in (query, key))
    mixed = constants.kernel(query, key, value, bounds, longest, constants.attention_scale)
    x = x + project(mixed.flatten(1), slice(3, 4))[0]
    return x.unsqueeze(0), _gemma_norm(x, output_norm, constants.norm_epsilon).unsqueeze(0)


def _gemma_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Gemma's RMSNorm: in float32, multiplied by one plus the weight, then rounded."""
    precise = x.float()
    normed = precise * torch.rsqrt(precise.pow(2).mean(-1, keepdim=True) + epsilon)
    return (normed * (1.0 + weight.float())).type_as(x)


@cache
def block_for(constants: BlockConstants, compiled: bool) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The block for all layers of the same constants: compiled once."""
    block = partial(attention_block, constants=constants)
    return torch.compile(block) if compiled else block
