"""Frozen vision towers during training: compiled layer by layer, in their own precision, channels last, recorded."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.models.clip.modeling_clip import CLIPEncoderLayer
from transformers.models.convnext.modeling_convnext import ConvNextLayer

from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.vision import is_trained

_COMPILED = (CLIPEncoderLayer, ConvNextLayer)
"""Compiled alone, so that ZeRO's hooks stay outside, and once for all layers of a size."""

_Encoded = tuple[torch.Tensor, tuple[torch.Tensor, ...]]

_PROGRAMS = 32
"""That the layers' one forward may be compiled to: four sizes of ConvNeXt's, for one image, for few and for many. Past
PyTorch's own limit, eight, layers run uncompiled."""

_IMAGES_AT_ONCE = 16
"""That ConvNeXt sees: 0.2 GiB each, before the language model needs as much."""

_IMAGES_AT_ONCE_TO_SAVE_MEMORY = 4
"""The same where activations are recomputed; fewer would keep the GPU waiting for Python."""

_IMAGES_RECORDED = 4
"""That a recording takes: 0.2 GiB each for as long as the model trains."""


def speed_up_towers(model: MgmForConditionalGeneration, recorded: bool = False) -> None:
    """Compile the towers, where both are frozen; call it before DeepSpeed wraps the model.

    Autocast would raise the towers' norms to float32: they run without it. Nothing changes but rounding.

    Args:
        model: changed in place, on a GPU; left as it is if a tower is trained.
        recorded: record the towers' work as a CUDA graph, so that Python doesn't keep the GPU waiting; not where their
            parameters move, as under ZeRO.
    """
    if any(is_trained(tower) for tower in model.vision_towers):
        return
    for module in model.modules():
        if isinstance(module, ConvNextLayer):
            module.dwconv.__class__ = _Depthwise  # the same parameters and name, for ZeRO and checkpoints
        if isinstance(module, _COMPILED):
            module.forward = _compiled(module)
    if not recorded:
        _, convnext = model.vision_towers
        at_once = _IMAGES_AT_ONCE_TO_SAVE_MEMORY if model.is_activation_checkpointing else _IMAGES_AT_ONCE
        convnext.forward = _in_parts(convnext.forward, at_once)
    encode = model.encode_images

    def encode_images(images: torch.Tensor, images_aux: torch.Tensor) -> _Encoded:
        more_programs = torch._dynamo.config.patch(recompile_limit=_PROGRAMS)
        with torch.autocast(images.device.type, enabled=False), more_programs:
            return encode(images, images_aux.contiguous(memory_format=torch.channels_last))

    model.encode_images = _Recorded(encode_images, _IMAGES_RECORDED) if recorded else encode_images


class _Recorded:
    """The towers' work on a few images at a time, replayed as a CUDA graph."""

    def __init__(self, encode: Callable[[torch.Tensor, torch.Tensor], _Encoded], images_at_once: int) -> None:
        self.encode, self.images_at_once = encode, images_at_once
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, images: torch.Tensor, images_aux: torch.Tensor) -> _Encoded:
        """As :meth:`MgmForConditionalGeneration.encode_images`."""
        given = images, images_aux
        if self.graph is None:
            self.record(*(of.new_zeros(self.images_at_once, *of.shape[1:]) for of in given))
        parts = [self.replay(*part) for part in zip(*(of.split(self.images_at_once) for of in given), strict=True)]
        patches, *stages = (torch.cat(of) for of in zip(*parts, strict=True))
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
        return [of[: len(images[0])].clone() for of in self.outputs]


class _Depthwise(nn.Conv2d):
    """ConvNeXt's depthwise convolution, by a kernel that is two to three times as fast as cuDNN's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[images, channels, height, width] to the same."""
        if not (x.is_cuda and x.dtype in (torch.bfloat16, torch.float16)):
            return super().forward(x)
        from syntune.models.mgm.vision_kernels import depthwise_7x7

        return depthwise_7x7(x, self.weight, self.bias)


def _in_parts(
    forward: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], images_at_once: int
) -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    """ConvNeXt's forward, a few images at a time, in parts that are alike: one image alone is compiled apart.

    Where ranks share parameters all must run it as often: there it sees all images at once.
    """

    def run(pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        share = torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1
        count = 1 if share else -(-len(pixel_values) // images_at_once)
        parts = pixel_values.tensor_split(count)
        return tuple(torch.cat(stage) for stage in zip(*map(forward, parts), strict=True))

    return run


def _compiled(module: nn.Module) -> Callable[..., torch.Tensor]:
    """The module's forward, compiled for any number of images."""
    forward = torch.compile(module.forward)

    def run(*inputs: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        for tensor in inputs:
            torch._dynamo.maybe_mark_dynamic(tensor, 0)
        return forward(*inputs, **kwargs)

    return run
