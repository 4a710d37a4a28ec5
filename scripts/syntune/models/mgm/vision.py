"""The two vision towers' features, as MGM takes them."""

import torch
from torch import nn
from transformers import CLIPVisionModel, ConvNextConfig
from transformers.models.convnext.modeling_convnext import (
    ConvNextEmbeddings,
    ConvNextEncoder,
    ConvNextPreTrainedModel,
)


class MgmConvNextTower(ConvNextPreTrainedModel):
    """ConvNeXt without its head: the outputs of all of its stages."""

    def __init__(self, config: ConvNextConfig) -> None:
        super().__init__(config)
        self.embeddings = ConvNextEmbeddings(config)
        self.encoder = ConvNextEncoder(config)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[images, 3, A, A] to [images, channels, side, side] for each stage, of sides A / 4, A / 8, ..."""
        features = self.embeddings(pixel_values)
        stages = []
        for stage in self.encoder.stages:
            features = stage(features)
            stages.append(features)
        return tuple(stages)


def clip_patches(tower: CLIPVisionModel, pixel_values: torch.Tensor, select_layer: int) -> torch.Tensor:
    """The patches' hidden state of CLIP, without the class token and without the last norm.

    Layers after the selected one are not run.

    Args:
        tower: CLIP.
        pixel_values: [images, 3, S, S].
        select_layer: which hidden state, as an index from the end; -1 is the last layer's output.

    Returns:
        [images, patches, C].
    """
    hidden = tower.pre_layrnorm(tower.embeddings(pixel_values))
    for layer in tower.encoder.layers[: len(tower.encoder.layers) + 1 + select_layer]:
        hidden = layer(hidden, attention_mask=None)
    return hidden[:, 1:]


def is_trained(module: nn.Module) -> bool:
    """Whether any of the module's parameters takes a gradient."""
    return any(parameter.requires_grad for parameter in module.parameters())
