"""MGM's parts in the layouts in which they are published, under our names."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import AutoConfig, PretrainedConfig

from syntune.errors import UserError, one_line
from syntune.models.mgm.assembly import Assembly
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.mining import PatchInfoMining
from syntune.models.mgm.reference_names import POSITION_IDS, from_reference_name, from_reference_names
from syntune.models.mgm.tokenizer import read_tokenizer
from syntune.models.weights import Tensors, read_weights

CLIP, CONVNEXT = "vision_tower.", "vision_tower_aux."

_OPENCLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_OPENCLIP = (
    ("visual.trunk.stem.", "model.vision_tower_aux.vision_stem."),
    ("visual.trunk.stages.", "model.vision_tower_aux.vision_stages."),
)


def assemble_parts(
    language_model: Path,
    vision_tower: Path,
    vision_tower_aux: Path,
    projector: Path | None,
    random_seed: int = 0,
    **fields: Any,
) -> Assembly:
    """An MGM of Gemma, CLIP, ConvNeXt and a connector.

    Args:
        language_model: folder of Gemma and its tokenizer.
        vision_tower: folder of CLIP.
        vision_tower_aux: OpenCLIP's file, or its folder.
        projector: the reference's ``mm_projector.bin``, or its folder; None for a random connector. Towers in it, which
            the reference writes too, take the place of the others.
        random_seed: of a random connector.
        **fields: further fields of a reference's ``config.json``.

    Raises:
        UserError: a part is not what it should be, or does not fit the others.
    """
    text = _config_of(language_model, "gemma")
    clip_config = read_clip_config(vision_tower)
    convnext = read_convnext(vision_tower_aux)
    config = mgm_config(
        language_model,
        {
            **{key: value for key, value in text.to_dict().items() if key not in ("model_type", "hidden_act")},
            "rope_theta": text.rope_parameters["rope_theta"],
            **fields,
        },
        clip_config,
        convnext_config(convnext, vision_tower_aux),
    )
    tensors = {**read_weights(language_model), **read_clip(vision_tower), **convnext}
    if projector is None:
        tensors |= random_connector(config, random_seed)
    else:
        tensors |= read_projector(projector)
    return Assembly(config, tensors, read_tokenizer(language_model), language_model)


def mgm_config(
    folder: Path, reference: dict[str, Any], clip: dict[str, Any] | None, convnext: dict[str, Any]
) -> MgmConfig:
    """The sizes of an MGM, from the fields of a reference's config and the towers' sizes.

    Raises:
        UserError: they contradict each other, or the variant is not supported.
    """
    try:
        return MgmConfig.from_reference(reference, clip, convnext)
    except (UserError, ValueError, TypeError, StrictDataclassError) as error:
        advice = "" if clip else "; a CLIP of another size than ViT-L/14 at 336 pixels must be named by vision_tower"
        raise UserError(f"{folder}: {one_line(error, None)}{advice}") from error


def read_clip_config(folder: Path) -> dict[str, Any]:
    """The sizes of a CLIP vision tower in transformers' layout."""
    config = _config_of(folder, "clip", "clip_vision_model")
    return getattr(config, "vision_config", config).to_dict()


def read_clip(folder: Path) -> Tensors:
    """CLIP's vision tower; the text tower and the projections are left out."""
    tensors = read_weights(folder)
    prefix = "vision_model."
    if not any(name.startswith(prefix) for name in tensors):
        prefix = ""  # a vision tower alone, as newer versions of transformers write it
    return {
        CLIP + name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and not name.endswith(POSITION_IDS)
    }


def read_convnext(path: Path) -> Tensors:
    """The stem and the stages of OpenCLIP's ConvNeXt; its last norm, its head and the text tower are left out."""
    if path.is_dir():
        found = [path / name for name in _OPENCLIP_FILES if (path / name).is_file()]
        if not found:
            raise UserError(f"{path}: holds no OpenCLIP checkpoint (none of {', '.join(_OPENCLIP_FILES)})")
        path = found[0]
    tensors = {
        from_reference_name(reference + name.removeprefix(prefix)): tensor
        for name, tensor in read_weights(path).items()
        for prefix, reference in _OPENCLIP
        if name.startswith(prefix)
    }
    if not tensors:
        raise UserError(f"{path}: holds no ConvNeXt (no tensor begins with {_OPENCLIP[0][0]})")
    return tensors


def convnext_config(tensors: Tensors, origin: Path) -> dict[str, Any]:
    """ConvNeXt's sizes, from its tensors under our names."""
    depths, sizes = [], []
    while True:
        block = f"{CONVNEXT}encoder.stages.{len(depths)}.layers."
        blocks = {name.removeprefix(block).partition(".")[0] for name in tensors if name.startswith(block)}
        if not blocks:
            break
        norm = f"{block}0.layernorm.weight"
        if norm not in tensors:
            raise UserError(f"{origin}: stage {len(depths)} of its ConvNeXt has no tensor {norm}")
        depths.append(len(blocks))
        sizes.append(tensors[norm].shape[0])
    if len(depths) != 4:
        raise UserError(f"{origin}: its ConvNeXt has {len(depths)} stages, not 4")
    return {"hidden_sizes": sizes, "depths": depths}


def read_projector(path: Path) -> Tensors:
    """The connector, and the towers if they are there, of a reference's first stage."""
    path = path / "mm_projector.bin" if path.is_dir() else path
    return from_reference_names(read_weights(path), path)


def random_connector(config: MgmConfig, random_seed: int) -> Tensors:
    """Mining and projector with PyTorch's own initial weights, as the reference starts from."""
    width, vision = config.text_config.hidden_size, config.vision_config.hidden_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_seed)
        connector = nn.ModuleDict(
            {
                "mining": PatchInfoMining(vision, sum(config.vision_aux_config.hidden_sizes)),
                "mm_projector": nn.Sequential(nn.Linear(vision, width), nn.GELU(), nn.Linear(width, width)),
            }
        )
    return connector.state_dict()


def _config_of(folder: Path, *kinds: str) -> PretrainedConfig:
    """The config of a folder whose ``model_type`` must be one of ``kinds``."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no readable config.json ({one_line(error, 120)})") from error
    if config.model_type not in kinds:
        raise UserError(f"{folder}: its model_type is {config.model_type!r}, not {' or '.join(map(repr, kinds))}")
    return config
