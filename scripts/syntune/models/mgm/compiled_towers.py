"""Frozen vision towers during training: compiled layer by layer, in their own precision, channels last, recorded."""

from collections.abc import Callable

import torch
from torch import nn
from transformers.models.clip.modeling_clip import CLIPEncoderLayer
from transformers.models.convnext.modeling_convnext import ConvNextLayer

from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.vision import is_trained

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
        if isinstance(module, ConvNextLayer):
            module.dwconv.__class__ = _Depthwise  # the same parameters and name, for checkpoints
        if isinstance(module, _COMPILED):
            module.forward = torch.compile(module.forward, dynamic=False)
    encode = model.encode_images

    def encode_images(images: torch.Tensor, images_aux: torch.Tensor) -> _Encoded:
        with torch.autocast(images.device.type, enabled=False):
            return encode(images, images_aux.contiguous(memory_format=torch.channels_last))

    model.encode_images = _Recorded(encode_images, _IMAGES_AT_ONCE)


class _Recorded:
    """The towers' work on a few images at a time, on a GPU replayed as a CUDA graph."""

    def __init__(self, encode: Callable[[torch.Tensor, torch.Tensor], _Encoded], images_at_once: int) -> None:
        self.encode, self.images_at_once = encode, images_at_once
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, images: torch.Tensor, images_aux: torch.Tensor) -> _Encoded:
        """As :meth:`MgmForConditionalGeneration.encode_images`."""
        given = images, images_aux
        if not images.is_cuda:
            return self.encode(*given)
        if self.graph is None:
            self.record(*(pixels.new_zeros(self.images_at_once, *pixels.shape[1:]) for pixels in given))
        parts = zip(*(pixels.split(self.images_at_once) for pixels in given), strict=True)
        replayed = zip(*(self.replay(*part) for part in parts), strict=True)
        patches, *stages = (torch.cat(features) for features in replayed)
        return patches, tuple(stages)

    def record(self, *inputs: torch.Tensor) -> None:
        """Compile, then record; the graph reads and writes the same tensors ever after."""
        self.inputs = inputs
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.encode(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # others pin memory meanwhile
            patches, stages = self.encode(*inputs)
        self.outputs, self.graph = (patches, *stages), graph

    def replay(self, *images: torch.Tensor) -> list[torch.Tensor]:
        """The features of as many images as the graph takes, or fewer."""
        for own, given in zip(self.inputs, images, strict=True):
            own[: len(given)].copy_(given)
        self.graph.replay()
        return [features[: len(images[0])].clone() for features in self.outputs]


class _Depthwise(nn.Conv2d):
    """ConvNeXt's depthwise convolution, by a kernel that is two to three times as fast as cuDNN's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[images, channels, height, width] to the same."""
        if not (x.is_cuda and x.dtype in (torch.bfloat16, torch.float16)):
            return super().forward(x)
        from syntune.models.mgm.vision_kernels import depthwise_7x7

        return depthwise_7x7(x, self.weight, self.bias)
