"""Scores of images, and of images with texts, by the definitions of Data-Juicer's filters."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image

from syntune.models.scorers import Scorer

Images = Sequence[Sequence[Image.Image]]
"""The images of each item of a batch."""


@torch.inference_mode()
def similarity(scorer: Scorer, images: Images, texts: Sequence[str]) -> list[list[float]]:
    """CLIP's logits by 100, of each image with its item's text: the cosine, where the logit scale is 100 as trained.

    A text is cut at the positions that the model has.
    """
    flat = [image for some in images for image in some]
    inputs = _inputs(scorer, list(texts), flat)
    logits = scorer.model(**inputs).logits_per_text.double() / 100
    places = iter(range(len(flat)))
    return [[logits[item, next(places)].item() for _ in some] for item, some in enumerate(images)]


@torch.inference_mode()
def matching(scorer: Scorer, images: Images, texts: Sequence[str]) -> list[list[float]]:
    """BLIP's probability, of each image with its item's text, that the two belong together."""
    repeated = [text for text, some in zip(texts, images, strict=True) for _ in some]
    inputs = _inputs(scorer, repeated, [image for some in images for image in some])
    found = iter(scorer.model(**inputs).itm_score.double().softmax(-1)[:, 1].tolist())
    return [[next(found) for _ in some] for some in images]


@torch.inference_mode()
def probability(scorer: Scorer, images: Images, texts: Sequence[str]) -> list[list[float]]:
    """A classifier's probability of its class 1, of each image; texts are not looked at."""
    return _by_item(images, _logits(scorer, images).double().softmax(-1)[:, 1].tolist())


@torch.inference_mode()
def regression(scorer: Scorer, images: Images, texts: Sequence[str]) -> list[list[float]]:
    """The one number of a regression, of each image; texts are not looked at."""
    return _by_item(images, _logits(scorer, images).double()[:, 0].tolist())


SCORES: dict[str, Callable[[Scorer, Images, Sequence[str]], list[list[float]]]] = {
    "clip": similarity,
    "blip": matching,
    "classifier": probability,
    "aesthetics": regression,
}
"""By a scorer's kind: the scores of each item's images."""


def _inputs(scorer: Scorer, texts: list[str], images: list[Image.Image]) -> dict[str, torch.Tensor]:
    """The model's inputs for texts and images, on its device."""
    longest = scorer.model.config.text_config.max_position_embeddings
    made = scorer.processor(
        text=texts, images=images, return_tensors="pt", padding=True, truncation=True, max_length=longest
    )
    return made.to(scorer.model.device)


def _logits(scorer: Scorer, images: Images) -> torch.Tensor:
    """The logits [images, classes] of a model that sees images alone."""
    flat = [image for some in images for image in some]
    made = scorer.processor(images=flat, return_tensors="pt").to(scorer.model.device)
    return scorer.model(pixel_values=made["pixel_values"]).logits


def _by_item(images: Images, values: list[float]) -> list[list[float]]:
    """One value for each image, item by item."""
    found = iter(values)
    return [[next(found) for _ in some] for some in images]
