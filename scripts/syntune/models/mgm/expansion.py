"""From one placeholder an image to all of the image's tokens."""

from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

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

    Padding may be on either side of the input. Images are counted through the batch, row by row.

    Args:
        input_ids: [rows, tokens], -200 for an image.
        attention_mask: [rows, tokens], false at padding; None: no padding.
        labels: [rows, tokens] or None.
        tokens_per_image: how many tokens an image takes.
        max_length: longest row, in tokens, after expansion.
        padding_side: "right" or "left".
    """
    kept = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    first_feature = 0
    rows = []
    for row, keep in enumerate(kept):
        ids = input_ids[row, keep]
        is_image = ids == IMAGE_TOKEN
        source = torch.repeat_interleave(torch.where(is_image, tokens_per_image, 1))
        at_image = is_image[source]
        feature = torch.where(at_image, first_feature - 1 + at_image.cumsum(0), _NO_FEATURE)
        first_feature += int(is_image.sum()) * tokens_per_image
        columns = {"ids": ids[source].masked_fill(at_image, 0), "feature": feature}
        if labels is not None:
            columns["labels"] = labels[row, keep][source].masked_fill(at_image, IGNORED)
        columns["mask"] = torch.ones_like(source, dtype=torch.bool)
        rows.append({name: column[:max_length] for name, column in columns.items()})

    def padded(name: str, value: int) -> torch.Tensor:
        return pad_sequence([row[name] for row in rows], True, value, padding_side)

    return Expanded(
        input_ids=padded("ids", 0),
        attention_mask=padded("mask", False),
        feature_rows=padded("feature", _NO_FEATURE),
        labels=None if labels is None else padded("labels", IGNORED),
    )
