"""Prompts about one image share what stands before the question: its keys and values are computed once.

A prompt begins with the same few tokens and its image, 576 tokens; the question after them takes a tenth of that.
"""

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from syntune.batches import in_batches
from syntune.models.family import Row
from syntune.models.mgm.compiled_towers import arrange_towers
from syntune.models.mgm.expansion import IMAGE_TOKEN
from syntune.models.mgm.gemma_layers import run_layers
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.triton_use import triton_works
from syntune.models.recording import Recording

_IMAGES_AT_ONCE = 8
"""That a GPU takes, always."""

_PIXELS = ("images", "images_aux")


class PrefixEncoder:
    """Prompts up to their only image; on a GPU recorded, for so many at a time, whichever they are."""

    def __init__(self, model: MgmForConditionalGeneration) -> None:
        """``model`` is not trained; on a GPU its towers are laid out anew."""
        self.model = model
        self._recording: Recording | None = None
        self._on_gpu = model.lm_head.weight.is_cuda
        if self._on_gpu and triton_works():
            arrange_towers(model)

    @torch.no_grad()
    def encode(self, rows: list[Row]) -> list[torch.Tensor]:
        """Keys and values of each prompt up to its image, [layers, 2, tokens, key heads, head size].

        All prompts have as many tokens before it.
        """
        parts = in_batches(rows, _IMAGES_AT_ONCE if self._on_gpu else None)
        return [prefix for part in parts for prefix in self._encode(part)]

    def _encode(self, rows: list[Row]) -> torch.Tensor:
        """The prefixes of rows that are taken at once."""
        given = [[_before_image(row), *(row[name][0] for name in _PIXELS)] for row in rows]
        if not self._on_gpu:
            return self._run(*map(torch.stack, zip(*given, strict=True)))[0]
        if self._recording is None:
            device = self.model.lm_head.weight.device
            blank = (tensor.new_zeros(_IMAGES_AT_ONCE, *tensor.shape, device=device) for tensor in given[0])
            self._recording = Recording(self._run, *blank)
        for place, tensors in enumerate(given):
            for own, tensor in zip(self._recording.inputs, tensors, strict=True):
                own[place].copy_(tensor, non_blocking=True)
        return self._recording.replay()[0][: len(rows)].clone()

    def _run(self, ids: torch.Tensor, images: torch.Tensor, images_aux: torch.Tensor) -> tuple[torch.Tensor]:
        """[rows, layers, 2, tokens, key heads, head size]: of ids before the image [rows, tokens], and the images."""
        embed = self.model.model.embed_tokens
        before = embed(ids)
        tokens = self.model.get_image_features(images, images_aux).to(before.dtype)
        hidden = torch.cat([before, tokens * embed.embed_scale.to(before.dtype)], dim=1)
        layers = []

        def attend(layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            layers.append(torch.stack((key, value), dim=1))
            query, key, value = (states.transpose(1, 2) for states in (query, key, value))
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
            return mixed.transpose(1, 2)

        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            run_layers(self.model.model, hidden, torch.arange(hidden.shape[1], device=hidden.device)[None], attend)
        return (torch.stack(layers, dim=1),)


def after_image(row: Row) -> torch.Tensor:
    """The ids of a prompt after its image."""
    return row["input_ids"][len(_before_image(row)) + 1 :]


def _before_image(row: Row) -> torch.Tensor:
    """The ids of a prompt before its image."""
    return row["input_ids"][: int((row["input_ids"] == IMAGE_TOKEN).nonzero()[0])]
