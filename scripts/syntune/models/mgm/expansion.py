"""From one placeholder an image to all of the image's tokens."""

from dataclasses import dataclass

import numpy
import torch

from syntune.models.cross_entropy import IGNORED

IMAGE_TOKEN = -200
"""The id that stands for an image; it is not in the vocabulary."""

_NO_FEATURE = -1


@dataclass(frozen=True)
class Expanded:
    """A batch whose images take all their places; every tensor is [rows, tokens].

    Attributes:
        input_ids: token ids; 0 at images' places and at padding.
        attention_mask: false at padding.
        feature_rows: for an image's place, the row of the flat image features that goes there, -1 elsewhere.
        labels: labels, -100 at images' places and at padding; None if there were none.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    feature_rows: torch.Tensor
    labels: torch.Tensor | None


def expand_images(
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    labels: torch.Tensor | None,
    tokens_per_image: int,
    max_length: int,
    padding_side: str,
) -> Expanded:
    """Give every image its places, cut rows to ``max_length`` after that, and pad them anew.

    Padding may be on either side of the input. Images are counted through the batch, row by row. In NumPy:
    PyTorch's repeat_interleave has all of the CPU's threads meet, beside those that decode images.

    Args:
        input_ids: [rows, tokens], -200 for an image.
        attention_mask: [rows, tokens], false at padding; None: no padding.
        labels: [rows, tokens] or None.
        tokens_per_image: how many tokens an image takes.
        max_length: longest row, in tokens, after expansion.
        padding_side: "right" or "left".
    """
    ids = input_ids.numpy(force=True)
    kept = numpy.ones(ids.shape, bool) if attention_mask is None else attention_mask.numpy(force=True) != 0
    is_image = kept & (ids == IMAGE_TOKEN)
    takes = numpy.where(is_image, tokens_per_image, kept)
    source = numpy.repeat(numpy.arange(takes.size), takes.ravel())  # of each place: the token that it is of
    lengths = takes.sum(1)
    row = numpy.repeat(numpy.arange(len(ids)), lengths)
    position = numpy.arange(len(source)) - (lengths.cumsum() - lengths)[row]
    at_image = is_image.ravel()[source]
    feature = numpy.where(at_image, at_image.cumsum() - 1, _NO_FEATURE)

    uncut = position < max_length
    lengths = lengths.clip(max=max_length)
    longest = lengths.max(initial=0)
    skipped = longest - lengths if padding_side == "left" else numpy.zeros_like(lengths)
    places = row[uncut], (position + skipped[row])[uncut]

    def padded(values: numpy.ndarray, padding: int) -> torch.Tensor:
        columns = numpy.full((len(ids), longest), padding, values.dtype)
        columns[places] = values[uncut]
        return torch.from_numpy(columns).to(input_ids.device)

    def spread(tokens: torch.Tensor, at_images: int) -> numpy.ndarray:
        return numpy.where(at_image, at_images, tokens.numpy(force=True).ravel()[source])

    return Expanded(
        input_ids=padded(spread(input_ids, 0), 0),
        attention_mask=padded(numpy.ones_like(at_image), False),
        feature_rows=padded(feature, _NO_FEATURE),
        labels=None if labels is None else padded(spread(labels, IGNORED), IGNORED),
    )
