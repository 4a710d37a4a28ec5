"""Frozen vision towers during training: compiled layer by layer, in their own precision, channels last."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.models.clip.modeling_clip import CLIPEncoderLayer
from transformers.models.convnext.modeling_convnext import ConvNextLayer

from syntune.models.mgm.mining import PatchInfoMining
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.vision import is_trained

_COMPILED = (CLIPEncoderLayer, ConvNextLayer, PatchInfoMining)
"""Compiled alone, so that ZeRO's hooks stay outside, and once for all layers of a size."""


def speed_up_towers(model: MgmForConditionalGeneration, images_at_once: int | None = None) -> None:
    """Compile what makes image features, where both towers are frozen; call it before DeepSpeed wraps the model.

    Autocast would raise the towers' norms to float32: they run without it. Nothing changes but rounding.

    Args:
        model: changed in place, on a GPU; left as it is if a tower is trained.
        images_at_once: go through a batch's images so many at a time: an image takes 0.6 GiB for a moment.
    """
    if any(is_trained(tower) for tower in model.vision_towers):
        return
    for module in model.modules():
        if isinstance(module, _COMPILED):
            module.forward = _compiled(module)
    encode = model.encode_images

    def encode_images(images: torch.Tensor, images_aux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            return encode(images, images_aux.contiguous(memory_format=torch.channels_last))

    model.encode_images = encode_images
    if not images_at_once:
        return
    features = model.get_image_features

    def get_image_features(images: torch.Tensor, images_aux: torch.Tensor) -> torch.Tensor:
        parts = -(-len(images) // images_at_once)
        pairs = zip(images.tensor_split(parts), images_aux.tensor_split(parts), strict=True)
        return torch.cat([features(*pair) for pair in pairs])

    model.get_image_features = get_image_features


def _compiled(module: nn.Module) -> Callable[..., torch.Tensor]:
    """The module's forward, compiled for any number of images."""
    forward = torch.compile(module.forward)

    def run(*inputs: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        for tensor in inputs:
            torch._dynamo.maybe_mark_dynamic(tensor, 0)
        return forward(*inputs, **kwargs)

    return run
