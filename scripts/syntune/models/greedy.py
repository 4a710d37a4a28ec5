"""Greedy answers to a batch of prompts: in float32 the same whatever else is in the batch."""

from typing import Any

import torch

from syntune.models.checkpoints import Loaded
from syntune.models.family import Generated, Row

IMAGES_AT_ONCE = 8
"""Images that the towers see at a time: enough to keep a GPU busy, and their activations fit it."""

Features = torch.Tensor | None


def encode_images(loaded: Loaded, rows: list[Row]) -> list[Features]:
    """The features of each row's images, to be given to :func:`greedy_answers`."""
    parts = (rows[start : start + IMAGES_AT_ONCE] for start in range(0, len(rows), IMAGES_AT_ONCE))
    return [features for part in parts for features in loaded.family.encode_images(loaded.model, part)]


def greedy_answers(
    loaded: Loaded, rows: list[Row], features: list[Features], max_new_tokens: int, at_once: int
) -> list[Generated]:
    """The answers to at most ``at_once`` rows; so many ids as ``max_new_tokens`` mean that one was cut.

    In float32 an answer depends on nothing but the prompt: a near tie is answered again, alone, and is none any more.
    In bfloat16, where they are too many for that, it may depend on more, and says so.
    """

    def generate(rows: list[Row], features: list[Features]) -> list[Generated]:
        return loaded.family.generate(loaded.model, loaded.processor, rows, features, max_new_tokens, at_once)

    answers = generate(rows, features)
    if loaded.model.dtype == torch.float32:
        for place, answer in enumerate(answers):
            if answer.near_tie:
                row = [rows[place]]
                (alone,) = generate(row, encode_images(loaded, row))
                answers[place] = Generated(alone.ids, near_tie=False)
    return answers


def narrowed(row: Row, model: Any) -> Row:
    """A row with its pixels in the model's own type and, for one on a GPU, where that can fetch them by itself."""

    def narrow(pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(model.dtype)
        return pixels.pin_memory() if model.device.type == "cuda" else pixels

    return {name: narrow(tensor) if tensor.is_floating_point() else tensor for name, tensor in row.items()}
