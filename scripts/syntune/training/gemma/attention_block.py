"""Gemma's attention block with LoRA as one function, which torch.compile turns into few kernels.

It takes in the norms, q, k, v and o with their adapters, and the rotation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.models.gemma.modeling_gemma import GemmaDecoderLayer, rotate_half

from syntune.models.attention import Kernel, kernel_of
from syntune.training import dropout as seeded
from syntune.training.gemma.adapters import ATTENTION, AdaptedLinear, lora_settings, takes_pefts_way


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
def _block(constants: BlockConstants, compiled: bool) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The block for all layers of the same constants: compiled once."""
    block = partial(attention_block, constants=constants)
    return torch.compile(block) if compiled else block


def layer_forward(
    layer: GemmaDecoderLayer,
    original: Callable[..., torch.Tensor],
    hidden_states: torch.Tensor,
    *args: Any,
    compiled: bool,
    **kwargs: Any,
) -> torch.Tensor:
    """GemmaDecoderLayer.forward, fused where rows are packed."""
    attention = layer.self_attn
    bounds = kwargs.get("cu_seq_lens_q")
    if bounds is None or kwargs.get("past_key_values") is not None or takes_pefts_way(attention, ATTENTION):
        return original(hidden_states, *args, **kwargs)
    fused = partial(_fused_layer, layer, compiled=compiled, bounds=bounds, longest=kwargs["max_length_q"])
    if layer.gradient_checkpointing and layer.training:  # transformers wraps the class's forward, which is replaced
        return layer._gradient_checkpointing_func(fused, hidden_states, *kwargs["position_embeddings"])
    return fused(hidden_states, *kwargs["position_embeddings"])


def _fused_layer(
    layer: GemmaDecoderLayer,
    hidden_states: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    *,
    compiled: bool,
    bounds: torch.Tensor,
    longest: int,
) -> torch.Tensor:
    """A decoder layer of packed rows: the attention block, then the MLP."""
    attention = layer.self_attn
    _, scale, dropout = lora_settings(attention.q_proj)
    constants = BlockConstants(
        kernel_of(attention.config._attn_implementation),
        attention.head_dim,
        attention.scaling,
        layer.input_layernorm.eps,
        scale,
        dropout,
    )
    for tensor in (hidden_states, cos, sin):  # packs differ in length: one program for all of them
        torch._dynamo.maybe_mark_dynamic(tensor, 1)
    torch._dynamo.maybe_mark_dynamic(bounds, 0)
    x, normed = _block(constants, compiled)(
        hidden_states,
        cos,
        sin,
        layer.input_layernorm.weight,
        layer.post_attention_layernorm.weight,
        tuple(
            (linear.weight, linear.a, linear.b)
            for linear in (AdaptedLinear.from_peft(getattr(attention, name)) for name in ATTENTION)
        ),
        seeded.draw_seeds(4, hidden_states.device) if dropout else None,
        bounds,
        longest,
    )
    return x + layer.mlp(normed)
