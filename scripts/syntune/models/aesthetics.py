"""LAION's aesthetics predictor on CLIP's image embeddings, in the layout of the package simple-aesthetics-predictor."""

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.modeling_outputs import ImageClassifierOutput


class AestheticsPredictor(CLIPVisionModelWithProjection):
    """Linear layers on the normalised embedding, without activations between them; the score is 0 to 10.

    Source: github.com/christophschuhmann/improved-aesthetic-predictor; tensors are named as in
    ``AestheticsPredictorV2Linear`` of github.com/shunk031/simple-aesthetics-predictor.
    """

    config_class = CLIPVisionConfig

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__(config)
        sizes = (config.projection_dim, 1024, 128, 64, 16, 1)
        first, second, third, fourth, last = (
            nn.Linear(size, following) for size, following in zip(sizes, sizes[1:], strict=False)
        )
        # places 1, 3 and 5 are dropout in training
        self.layers = nn.Sequential(first, nn.Identity(), second, nn.Identity(), third, nn.Identity(), fourth, last)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor) -> ImageClassifierOutput:
        """Scores [images, 1], 0 to 1, of ``pixel_values`` [images, 3, height, width]."""
        embeddings = super().forward(pixel_values=pixel_values).image_embeds
        normalised = embeddings / embeddings.norm(dim=-1, keepdim=True)
        return ImageClassifierOutput(logits=self.layers(normalised) / 10)
