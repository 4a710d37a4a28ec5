"""Rows of a batch put end to end instead of padded, inside the model: callers and collators notice nothing."""

from typing import Any

import torch
from torch import nn

from syntune.models.attention import Attention, packed_arguments, row_bounds
from syntune.models.cross_entropy import IGNORED
from syntune.models.transfer import send


def pack_in_training(model: nn.Module, attention: Attention) -> None:
    """Make an MGM run each training batch as one packed sequence, with this attention.

    A padded batch with labels is embedded and merged with its images as ever; then padding is dropped, so that neither
    memory nor time goes to it, and no row sees another. Call it before PEFT or DeepSpeed wrap the model. Evaluation and
    generation stay as they are.

    Args:
        model: a MgmForConditionalGeneration; changed in place.
        attention: of :func:`syntune.models.attention.choose_attention`.
    """
    model.model.set_attn_implementation(attention.implementation)
    model.register_forward_pre_hook(_pack, with_kwargs=True)


def pack_rows(
    embeddings: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor | int]:
    """Drop the padding.

    Args:
        embeddings: [rows, tokens, width], padded on the right.
        attention_mask: bool [rows, tokens], false at padding; on the CPU it makes nobody wait for the GPU.
        labels: [rows, tokens], beside the mask, where the packed ones will be too.

    Returns:
        The model's arguments: embeddings [1, T, width], labels and positions [1, T], and the rows' boundaries. A row's
        first token has nothing before it to be predicted from: its label is dropped.
    """
    device = embeddings.device
    lengths = attention_mask.sum(1)
    positions = attention_mask.cumsum(1) - 1
    labels = labels.masked_fill(positions == 0, IGNORED)
    places = attention_mask.flatten().nonzero().squeeze(1)
    # by index_select: an index of thousands has all of the CPU's threads meet, beside those that decode images
    return {
        "inputs_embeds": embeddings.flatten(0, 1).index_select(0, send(places, device)).unsqueeze(0),
        "position_ids": send(positions.flatten().index_select(0, places), device).unsqueeze(0),
        "labels": labels.flatten().index_select(0, places).unsqueeze(0),
        **packed_arguments(send(row_bounds(lengths), device), int(lengths.max())),
    }


def _pack(model: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
    """Replace a training batch's arguments before the model's forward runs."""
    if not model.training or kwargs.get("labels") is None or kwargs.get("input_ids") is None:
        return None
    names = ("input_ids", "attention_mask", "labels", "images", "images_aux", "image_features")
    rest = {name: value for name, value in kwargs.items() if name not in names}
    embeddings, expanded = model.merge_inputs(**{name: kwargs.get(name) for name in names})
    return args, rest | pack_rows(embeddings, expanded.attention_mask, expanded.labels)
