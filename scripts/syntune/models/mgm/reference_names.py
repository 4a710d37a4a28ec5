"""Names of tensors: ours and the reference implementation's, both ways; Gemma's are the same in both."""

from collections.abc import Iterable

import torch

from syntune.errors import UserError

_PREFIXES = (
    ("lm_head.", "lm_head."),
    ("model.embed_tokens.", "model.embed_tokens."),
    ("model.layers.", "model.layers."),
    ("model.norm.", "model.norm."),
    ("mm_projector.", "model.mm_projector."),
    ("mining.query_norm.", "model.vlm_uni_query_projector.0."),
    ("mining.query_projection.", "model.vlm_uni_query_projector.1."),
    ("mining.key_norm.", "model.vlm_uni_aux_projector.0."),
    ("mining.key_projection.", "model.vlm_uni_aux_projector.1."),
    ("mining.value_norm.", "model.vlm_uni_val_projector.0."),
    ("mining.value_projection.", "model.vlm_uni_val_projector.1."),
    ("vision_tower.", "model.vision_tower.vision_tower.vision_model."),
    ("vision_tower_aux.embeddings.patch_embeddings.", "model.vision_tower_aux.vision_stem.0."),
    ("vision_tower_aux.embeddings.layernorm.", "model.vision_tower_aux.vision_stem.1."),
    ("vision_tower_aux.encoder.stages.", "model.vision_tower_aux.vision_stages."),
)
"""Each pair is one part of the model; no prefix begins another of its side."""

_CONVNEXT_STAGES = "vision_tower_aux.encoder.stages."
_CONVNEXT_PIECES = (
    (".downsampling_layer.", ".downsample."),
    (".layers.", ".blocks."),
    (".layer_scale_parameter", ".gamma"),
    (".dwconv.", ".conv_dw."),
    (".layernorm.", ".norm."),
    (".pwconv1.", ".mlp.fc1."),
    (".pwconv2.", ".mlp.fc2."),
)


def to_reference_name(name: str) -> str:
    """The reference's name of our tensor ``name``."""
    for ours, reference in _PREFIXES:
        if name.startswith(ours):
            rest = name.removeprefix(ours)
            if ours == _CONVNEXT_STAGES:
                for piece, other in _CONVNEXT_PIECES:
                    rest = rest.replace(piece, other)
            return reference + rest
    raise UserError(f"tensor {name}: no such part in an MGM")


def from_reference_name(name: str) -> str:
    """Our name of the reference's tensor ``name``."""
    for ours, reference in _PREFIXES:
        if name.startswith(reference):
            rest = name.removeprefix(reference)
            if ours == _CONVNEXT_STAGES:
                for piece, other in _CONVNEXT_PIECES:
                    rest = rest.replace(other, piece)
            return ours + rest
    raise UserError(f"tensor {name}: no such part in a reference MGM checkpoint")


def to_reference_names(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """``state_dict`` under the reference's names; a tensor of no known part is an error."""
    return {to_reference_name(name): tensor for name, tensor in state_dict.items()}


def from_reference_names(
    state_dict: dict[str, torch.Tensor], expected: Iterable[str] | None = None
) -> dict[str, torch.Tensor]:
    """``state_dict`` under our names; every tensor is accounted for.

    Args:
        state_dict: tensors under the reference's names.
        expected: our names of all the tensors that must be there, no more and no fewer; None: any part of a model.
            The output layer is tied to the embedding and may be left out.

    Raises:
        UserError: a tensor is of no known part, is missing or is too many.
    """
    renamed = {from_reference_name(name): tensor for name, tensor in state_dict.items()}
    if expected is not None:
        expected = set(expected)
        missing = sorted(expected - set(renamed) - {"lm_head.weight"})
        unexpected = sorted(set(renamed) - expected)
        for problem, names in (("is missing", missing), ("has no place in the model", unexpected)):
            if names:
                more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
                raise UserError(f"checkpoint: tensor {to_reference_name(names[0])} {problem}{more}")
    return renamed
