"""Frozen vision towers at speed: in their own precision, channels last; in training compiled and recorded, too."""

from collections.abc import Callable

import torch
from torch import nn
from transformers.models.clip.modeling_clip import CLIPEncoderLayer
from transformers.models.convnext.modeling_convnext import ConvNextLayer

from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.vision import is_trained
from syntune.models.recording import Recording
from syntune.models.transfer import is_half_on_gpu

_COMPILED = (CLIPEncoderLayer, ConvNextLayer)
"""Compiled alone: once for all layers of a size."""

_Encoded = tuple[torch.Tensor, tuple[torch.Tensor, ...]]

_IMAGES_AT_ONCE = 4
"""That a recording takes: 0.2 GiB each for as long as the model trains. Fewer would keep the GPU waiting for Python."""


def speed_up_towers(model: MgmForConditionalGeneration) -> None:
    """Compile the towers, where both are frozen, and record them on a GPU.

    The recording is a CUDA graph, so their parameters must stay where they are once an image was seen: under ZeRO,
    see to it with :func:`syntune.training.zero.unpartitioned`. Autocast would raise the towers' norms to float32: they
    run without it. Nothing changes but rounding.

    Args:
        model: changed in place; left as it is if a tower is trained.
    """
    if any(is_trained(tower) for tower in model.vision_towers):
        return
    for module in model.modules():
        if isinstance(module, _COMPILED):
            module.forward = torch.compile(module.forward, dynamic=False)
    arrange_towers(model)
    model.encode_images = _Recorded(model.encode_images, _IMAGES_AT_ONCE)


def arrange_towers(model: MgmForConditionalGeneration) -> None:
    """Let the towers keep channels last, in their own precision, with a faster depthwise convolution."""
    for module in model.modules():
        if isinstance(module, ConvNextLayer):
            module.dwconv.__class__ = _Depthwise  # the same parameters and name, for checkpoints
    encode = model.encode_images

    def encode_images(images: torch.Tensor, images_aux: torch.Tensor) -> _Encoded:
        with torch.autocast(images.device.type, enabled=False):
            return encode(images, images_aux.contiguous(memory_format=torch.channels_last))

    model.encode_images = encode_images


class _Recorded:
    """The towers' work on a few images at a time, on a GPU replayed as a CUDA graph."""

    def __init__(self, encode: Callable[[torch.Tensor, torch.Tensor], _Encoded], images_at_once: int) -> None:
        self.encode, self.images_at_once = encode, images_at_once
        self.recording: Recording | None = None

    def __call__(self, images: torch.Tensor, images_aux: torch.Tensor) -> _Encoded:
        """As :meth:`MgmForConditionalGeneration.encode_images`."""
        given = images, images_aux
        if not images.is_cuda:
            return self.encode(*given)
        if self.recording is None:
            blank = (pixels.new_zeros(self.images_at_once, *pixels.shape[1:]) for pixels in given)
            self.recording = Recording(self._flat, *blank)
        parts = zip(*(pixels.split(self.images_at_once) for pixels in given), strict=True)
        replayed = zip(*(self.replay(*part) for part in parts), strict=True)
        patches, *stages = (torch.cat(features) for features in replayed)
        return patches, tuple(stages)

    def replay(self, *images: torch.Tensor) -> list[torch.Tensor]:
        """The features of as many images as the graph takes, or fewer."""
        return [features[: len(images[0])].clone() for features in self.recording.replay(*images)]

    def _flat(self, images: torch.Tensor, images_aux: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Patches and stages in one tuple."""
        patches, stages = self.encode(images, images_aux)
        return patches, *stages


class _Depthwise(nn.Conv2d):
    """ConvNeXt's depthwise convolution, by a kernel that is two to three times as fast as cuDNN's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[images, channels, height, width] to the same."""
        if not is_half_on_gpu(x):
            return super().forward(x)
        from syntune.models.mgm.vision_kernels import depthwise_7x7

        return depthwise_7x7(x, self.weight, self.bias)
