"""Gemma's layers for answering: no gradient, and keys and values are the caller's."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import GemmaModel
from transformers.activations import GELUActivation, GELUTanh
from transformers.models.gemma.modeling_gemma import GemmaMLP, GemmaRMSNorm, apply_rotary_pos_emb

from syntune.models.mgm.triton_use import in_triton

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Attention of a layer: (its number, query [rows, tokens, heads, D], key and value [rows, tokens, key heads, D]) to
[rows, tokens, heads, D]."""


def run_layers(gemma: GemmaModel, hidden: torch.Tensor, positions: torch.Tensor, attend: Attend) -> torch.Tensor:
    """All of Gemma's layers and its last norm.

    Args:
        gemma: with adapters merged.
        hidden: embeddings, [rows, tokens, width].
        positions: of the tokens, [rows or 1, tokens].
        attend: sees keys and queries turned by their positions.

    Returns:
        [rows, tokens, width].
    """
    cos, sin = gemma.rotary_emb(hidden, positions)
    for number, layer in enumerate(gemma.layers):
        attention = layer.self_attn
        normed = _norm(layer.input_layernorm, hidden)
        query, key, value = (
            linear(normed).unflatten(-1, (-1, attention.head_dim))
            for linear in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        query, key = _rotate(query, key, cos, sin)
        hidden = hidden + attention.o_proj(attend(number, query, key, value).flatten(2))
        hidden = hidden + _mlp(layer.mlp, _norm(layer.post_attention_layernorm, hidden))
    return _norm(gemma.norm, hidden)


def _rotate(
    query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys turned by their positions, in one kernel each on a GPU."""
    if not in_triton(query) or query.shape[-1].bit_count() != 1:
        return apply_rotary_pos_emb(query, key, cos, sin, unsqueeze_dim=2)
    from syntune.models.mgm.gemma_kernels import rotate

    return rotate(query, cos, sin), rotate(key, cos, sin)


def _norm(norm: GemmaRMSNorm, hidden: torch.Tensor) -> torch.Tensor:
    """The norm, in one kernel on a GPU."""
    if not in_triton(hidden):
        return norm(hidden)
    from syntune.models.mgm.gemma_kernels import rms_norm

    return rms_norm(hidden, norm.weight, norm.eps)


def _mlp(mlp: GemmaMLP, hidden: torch.Tensor) -> torch.Tensor:
    """The MLP, with activation and product in one kernel on a GPU."""
    if not (in_triton(hidden) and isinstance(mlp.act_fn, GELUTanh | GELUActivation | nn.GELU)):
        return mlp(hidden)
    from syntune.models.mgm.gemma_kernels import geglu

    tanh = isinstance(mlp.act_fn, GELUTanh) or getattr(mlp.act_fn, "approximate", "none") == "tanh"
    return mlp.down_proj(geglu(mlp.gate_proj(hidden), mlp.up_proj(hidden), tanh))
