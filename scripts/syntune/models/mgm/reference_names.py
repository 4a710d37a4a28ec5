"""Names of tensors: ours and the reference implementation's, both ways; Gemma's are the same in both."""

from pathlib import Path

from syntune.errors import UserError
from syntune.models.weights import Tensors

POSITION_IDS = ".position_ids"
"""How a buffer of CLIP is called, 0 to n - 1, that older versions of transformers saved."""

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


def to_reference_names(tensors: Tensors) -> Tensors:
    """Tensors under the reference's names; one of no known part is a :class:`UserError`."""
    return {to_reference_name(name): tensor for name, tensor in tensors.items()}


def from_reference_names(tensors: Tensors, origin: Path) -> Tensors:
    """Tensors under our names, without CLIP's position ids.

    Args:
        tensors: by the reference's names.
        origin: the file or folder to name in an error.

    Raises:
        UserError: a tensor is of no known part.
    """
    try:
        return {
            from_reference_name(name): tensor for name, tensor in tensors.items() if not name.endswith(POSITION_IDS)
        }
    except UserError as error:
        raise UserError(f"{origin}: {error}") from error
