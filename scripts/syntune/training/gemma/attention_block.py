"""Gemma's attention block with LoRA as one function, which torch.compile turns into few kernels.

It takes in the norms, q, k, v and o with their adapters, and the rotation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch.utils.checkpoint import checkpoint
from transformers.models.gemma.modeling_gemma import rotate_half

from syntune.models import dropout as seeded
from syntune.models.attention import Kernel


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

    def narrow(x: torch.Tensor, a: torch.Tensor, seed: torch.Tensor) -> torch.Tensor:
        return seeded.dropped(x, seed, constants.dropout) @ a.t()

    def project(x: torch.Tensor, which: int) -> torch.Tensor:
        weight, a, b = (tensor.to(x.dtype) for tensor in projections[which])
        if seeds is None:
            low = x @ a.t()
        else:  # the backward pass makes mask and dropped input again, or they would be kept: a quarter more memory
            low = checkpoint(narrow, x, a, seeds[which], use_reentrant=False, preserve_rng_state=False)
        return x @ weight.t() + (low @ b.t()) * constants.adapter_scale

    normed = _gemma_norm(x, input_norm, constants.norm_epsilon)
    query, key, value = (project(normed, which).unflatten(-1, (-1, constants.head_dim)) for which in range(3))
    query, key = ((states * cos + rotate_half(states) * sin).to(value.dtype) for states in (query, key))
    mixed = constants.kernel(query, key, value, bounds, longest, constants.attention_scale)
    x = x + project(mixed.flatten(1), 3)
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
