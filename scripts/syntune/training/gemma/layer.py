"""A Gemma decoder layer of packed rows: the attention block, then the MLP, both fused with their adapters."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.models.gemma.modeling_gemma import GemmaDecoderLayer

from syntune.models import dropout as seeded
from syntune.models.attention import kernel_of
from syntune.training.gemma.adapters import ATTENTION, MLP, AdaptedLinear, lora_settings, takes_pefts_way
from syntune.training.gemma.attention_block import BlockConstants, block_for
from syntune.training.gemma.mlp import is_fused

SEEDS = len(ATTENTION) + len(MLP)
"""Masks of dropout in a layer: one for each adapter."""


def layer_forward(
    layer: GemmaDecoderLayer,
    original: Callable[..., torch.Tensor],
    hidden_states: torch.Tensor,
    *args: Any,
    compiled: bool,
    **kwargs: Any,
) -> torch.Tensor:
    """GemmaDecoderLayer.forward, fused where rows are packed."""
    bounds = kwargs.get("cu_seq_lens_q")
    if bounds is None or kwargs.get("past_key_values") is not None or takes_pefts_way(layer.self_attn, ATTENTION):
        return original(hidden_states, *args, **kwargs)
    seeds = seeded.draw_seeds(SEEDS, hidden_states.device) if drops(layer) else None
    return run_layer(
        layer, hidden_states, *kwargs["position_embeddings"], seeds, bounds, kwargs["max_length_q"], compiled
    )


def drops(layer: GemmaDecoderLayer) -> bool:
    """Whether its adapters drop anything now."""
    parts = [layer.self_attn.q_proj, *([layer.mlp.gate_proj] if is_fused(layer.mlp) else [])]
    return any(lora_settings(linear)[2] for linear in parts)


def run_layer(
    layer: GemmaDecoderLayer,
    hidden: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    seeds: torch.Tensor | None,
    bounds: torch.Tensor,
    longest: int,
    compiled: bool,
) -> torch.Tensor:
    """The layer; it takes nothing from a random generator, so that it can be run again, or recorded.

    Args:
        layer: whose attention block is fused.
        hidden: [1, T, H], packed rows.
        cos: [1, T, D], of the positions within the rows.
        sin: [1, T, D].
        seeds: int32 [SEEDS, 2], of dropout, if it drops.
        bounds: int32 [rows + 1].
        longest: the longest row.
        compiled: compile the attention block.

    Returns:
        [1, T, H].
    """
    run = partial(_run, layer, compiled=compiled, bounds=bounds, longest=longest)
    if layer.gradient_checkpointing and layer.training:  # transformers wraps the class's forward, which is replaced
        return checkpoint(run, hidden, cos, sin, seeds, use_reentrant=False, preserve_rng_state=False)
    return run(hidden, cos, sin, seeds)


def _run(
    layer: GemmaDecoderLayer,
    hidden: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    seeds: torch.Tensor | None,
    *,
    compiled: bool,
    bounds: torch.Tensor,
    longest: int,
) -> torch.Tensor:
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
    for tensor in (hidden, cos, sin):  # packs differ in length: one program for all of them
        torch._dynamo.maybe_mark_dynamic(tensor, 1)
    torch._dynamo.maybe_mark_dynamic(bounds, 0)
    x, normed = block_for(constants, compiled)(
        hidden,
        cos,
        sin,
        layer.input_layernorm.weight,
        layer.post_attention_layernorm.weight,
        tuple(
            (linear.weight, linear.a, linear.b)
            for linear in (AdaptedLinear.from_peft(getattr(attention, name)) for name in ATTENTION)
        ),
        seeds[: len(ATTENTION)] if dropout else None,
        bounds,
        longest,
    )
    if not is_fused(layer.mlp):
        return x + layer.mlp(normed)
    return x + layer.mlp(normed, None if seeds is None else seeds[len(ATTENTION) :])
