"""Greedy answers to a batch of prompts, the same whatever else is in the batch."""

import torch

from syntune.models.checkpoints import Loaded
from syntune.models.family import Row
from syntune.models.margins import watch_margins

IMAGES_AT_ONCE = 8
"""Images that the towers see at a time: enough to keep a GPU busy, and their activations fit it."""

Features = torch.Tensor | None


def encode_images(loaded: Loaded, rows: list[Row]) -> list[Features]:
    """The features of each row's images, to be given to :func:`greedy_answers`."""
    parts = (rows[start : start + IMAGES_AT_ONCE] for start in range(0, len(rows), IMAGES_AT_ONCE))
    return [features for part in parts for features in loaded.family.encode_images(loaded.model, part)]


def greedy_answers(loaded: Loaded, rows: list[Row], features: list[Features], max_new_tokens: int) -> list[list[int]]:
    """The new ids of each row, up to and without the end token; so many as ``max_new_tokens`` mean that it was cut.

    In float32 an answer depends on nothing but the prompt: one with a choice so close that rounding, which differs with
    the batch, may have decided it is answered again, alone. In bfloat16 such choices are left as they are.
    """

    def generate(rows: list[Row], features: list[Features]) -> list[list[int]]:
        return loaded.family.generate(loaded.model, loaded.processor, rows, features, max_new_tokens)

    if loaded.model.dtype != torch.float32:
        return generate(rows, features)
    with watch_margins(loaded.model) as margins:
        answers = generate(rows, features)
    for place in margins.unsure(answers):
        row = [rows[place]]
        answers[place] = generate(row, encode_images(loaded, row))[0]
    return answers


def narrowed(row: Row, dtype: torch.dtype) -> Row:
    """A row with its pixels in the model's own type: half as much to move to a GPU."""
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in row.items()}
